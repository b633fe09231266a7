"""The policy fence: alone may raise an organization's policy epoch.

Whoever changes who is limited by what (keys, kill switch, budgets, scopes, mappings of a key)
calls `changed` in the same transaction: admissions take the fence shared, so each either commits
before the change or meets the new epoch and answers `stale`. Gateways hear of it with the commit.
"""

from uuid import UUID

from django.db import connection

CHANNEL = "tollkeeper_policy"  # PostgreSQL tells those who listen there, once per transaction


def changed(organization_id: UUID) -> int:
    """Wait for admissions in flight, raise the policy epoch and return it.

    Locks: the fence of the organization, exclusively, until the surrounding transaction ends.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s::uuid::text, 7))", [organization_id]
        )
        cursor.execute(
            "UPDATE organization SET policy_epoch = policy_epoch + 1 WHERE id = %s"
            " RETURNING policy_epoch",
            [organization_id],
        )
        (epoch,) = cursor.fetchone()
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, str(organization_id)])
    return int(epoch)
