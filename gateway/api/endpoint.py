"""What the endpoints have in common at which models are asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.api.ending import Ending
    from gateway.catalogue import Catalogue
    from gateway.config import Settings
    from gateway.fleet import Fleet


class Endpoint:
    """An endpoint at which a model is asked.

    Args:
        settings: All settings.
        fleet: The hosts.
        catalogue: What the configuration says of models.
        running: Where the work on each request can be found while it goes on.
    """

    def __init__(self, settings: Settings, fleet: Fleet, catalogue: Catalogue, running: set[Ending]) -> None:
        self._settings = settings
        self._fleet = fleet
        self._catalogue = catalogue
        self._running = running
