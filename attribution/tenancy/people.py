"""People of an organization: invite them, change what they may do."""

import secrets

from attribution.audit import trail
from attribution.audit.trail import Actor
from attribution.tenancy.models import Department, Membership, User

PASSWORD_BYTES = 12


class AlreadyMemberError(ValueError):
    """The person has a membership in this organization already."""

    code = "already_member"


def invite(
    email: str, role: str, *, by: Actor, name: str = "", department: Department | None = None
) -> tuple[Membership, str]:
    """Make somebody a member; return the membership and, of a new account, the password once.

    An existing account keeps its password and name: whoever invites learns nothing about it.
    """
    user = User.objects.filter(email=email.lower()).first()
    password = ""
    if user is None:
        password = secrets.token_urlsafe(PASSWORD_BYTES)
        user = User.objects.create_user(email, password, name=name)
    elif Membership.objects.filter(user=user).exists():
        raise AlreadyMemberError(email)
    membership = Membership.objects.create(user=user, role=role, department=department)
    after = trail.snapshot(membership)
    trail.append("membership.created", by=by, on=membership, after=after)
    return membership, password
