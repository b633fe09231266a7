"""Processes that hold calls: who is alive."""

from django.db import models


class GatewayWorker(models.Model):
    """A process that may hold calls; its id is new at every start, so a dead one never returns."""

    id = models.UUIDField(primary_key=True)
    role = models.TextField()
    host = models.TextField()
    version = models.TextField()
    started_at = models.DateTimeField()
    beat_at = models.DateTimeField()
    is_draining = models.BooleanField(default=False)

    class Meta:
        db_table = "gateway_worker"

    def __str__(self) -> str:
        return f"{self.role} {self.host}"
