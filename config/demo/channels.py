"""The demo's channel, and what its finance person chose to be told."""

from attribution.tenancy.models import User
from budgets.channels.models import Channel, Topic
from budgets.notifications.models import DigestChoice, Subscription


def add(domain: str, finance: User | None) -> None:
    """Add a shared mailbox, whose mail the demo prints, and a summary on Mondays."""
    Channel.objects.create(
        name="Finance mailbox",
        kind="email",
        mailbox=f"finance-alerts@{domain}",
        topics=[Topic.THRESHOLD.value, Topic.NO_DATA.value, Topic.ANOMALY.value],
        created_by=finance,
    )
    if finance is not None:
        Subscription.objects.create(person=finance, digest=DigestChoice.WEEKLY)
