"""Channels as pages show them: where they lead, how they stand, what went there last."""

from dataclasses import dataclass

from django.db.models import QuerySet
from django.utils.translation import gettext, ngettext

from attribution.tenancy import access
from attribution.tenancy.access import OrganizationRequest
from budgets.channels.models import Channel, Topic


@dataclass(frozen=True, slots=True)
class Line:
    """A channel and how it stands: `level` is good, warn or bad, `word` says the same."""

    channel: Channel
    level: str
    word: str

    @classmethod
    def of(cls, channel: Channel) -> "Line":
        """Say how a channel stands."""
        if channel.refused_at is not None:
            return cls(channel, "bad", gettext("refused: gone for good"))
        if not channel.is_active:
            return cls(channel, "info", gettext("switched off"))
        return cls(channel, "good", gettext("active"))

    @property
    def leads_to(self) -> str:
        """Return where messages go, of a secret address only host and end."""
        return self.channel.mailbox or self.channel.address_hint

    @property
    def about(self) -> list[str]:
        """Return the topics that go there; none means all."""
        labels = dict(Topic.choices)
        return [str(labels.get(topic, topic)) for topic in self.channel.topics]


def visible(request: OrganizationRequest) -> QuerySet[Channel]:
    """Return the channels this person may look at: none for somebody narrowed to a part."""
    rows = Channel.objects.filter(archived_at=None).select_related("department")
    return rows.none() if access.is_narrowed(request) else rows


def channel(request: OrganizationRequest, public_id: str) -> Channel:
    """Return a channel this person may look at; 404 for any other id."""
    return access.loaded(visible(request), public_id)


def lines(request: OrganizationRequest) -> list[Line]:
    """Return the channels, active ones first, by name."""
    return [Line.of(one) for one in visible(request).order_by("-is_active", "name")]


def finding(found: list[Line]) -> str:
    """Say in a sentence how the channels stand; nothing when there is none."""
    if not found:
        return ""
    active = sum(line.channel.is_active for line in found)
    text = ngettext(
        "%(active)s of %(all)s channel is active.",
        "%(active)s of %(all)s channels are active.",
        len(found),
    )
    return text % {"active": active, "all": len(found)}
