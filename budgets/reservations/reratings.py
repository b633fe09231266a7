"""Re-ratings that a person confirmed: started once, carried on page by page until no call is left."""

from dataclasses import fields
from uuid import UUID

from django.utils import timezone

from attribution import money
from attribution.audit import trail
from attribution.audit.trail import Actor
from attribution.isolation.transaction import tenant
from budgets.reservations import corrections
from budgets.reservations.corrections import Figures, Selection
from budgets.reservations.models import Rerating


def start(selection: Selection, *, by: Actor, reason: str) -> Rerating:
    """Note what was confirmed, in the caller's transaction; nothing is re-rated yet."""
    rerating = Rerating.objects.create(
        starts_at=selection.start,
        ends_at=selection.end,
        provider=selection.provider,
        model=selection.model,
        is_unpriced_only=selection.is_unpriced_only,
        reason=reason,
        actor_id=by.id,
    )
    trail.append("rerating.started", by=by, on=rerating, after=trail.snapshot(rerating))
    return rerating


def carry_on(organization_id: UUID) -> None:
    """Finish an organization's open re-ratings, one page in each transaction; may die anywhere."""
    while True:
        with tenant(organization_id):
            rerating = _next()
            if rerating is None:
                return
            advance(rerating)


def advance(rerating: Rerating) -> None:
    """Re-rate the next page of calls, in the caller's transaction, and note how far it got."""
    done, after = corrections.apply(
        selection_of(rerating),
        by=Actor("user", rerating.actor_id),
        reason=rerating.reason,
        after=rerating.after_id,
    )
    figures = figures_of(rerating)
    figures.merge(done.total)
    for one in fields(Figures):
        setattr(rerating, one.name, getattr(figures, one.name))
    rerating.after_id = after or rerating.after_id
    rerating.finished_at = timezone.now() if after is None else None
    rerating.save()


def selection_of(rerating: Rerating) -> Selection:
    """Return which calls it is about."""
    return Selection(
        rerating.starts_at,
        rerating.ends_at,
        rerating.provider,
        rerating.model,
        rerating.is_unpriced_only,
    )


def figures_of(rerating: Rerating) -> Figures:
    """Return what it has changed so far."""
    was, cost = (money.EXACT.plus(amount) for amount in (rerating.was, rerating.cost))
    return Figures(rerating.calls, rerating.unpriced, rerating.tokens, was, cost)


def _next() -> Rerating | None:
    """Lock the oldest open one; what another worker carries on is not waited for."""
    waiting = Rerating.objects.filter(finished_at=None).order_by("created_at")
    return waiting.select_for_update(skip_locked=True).first()
