"""Names of members that would say where somebody is. Nothing of that kind is brokered."""

import re
from typing import Final

_WORDS: Final = frozenset(
    [
        "address",
        "altitude",
        "bearing",
        "cell",
        "city",
        "coordinate",
        "coordinates",
        "country",
        "county",
        "geo",
        "geofence",
        "geohash",
        "geolocation",
        "gps",
        "lat",
        "latitude",
        "lng",
        "loc",
        "locality",
        "location",
        "locations",
        "lon",
        "long",
        "longitude",
        "place",
        "postcode",
        "region",
        "street",
        "town",
        "track",
        "tracks",
        "trail",
        "whereabouts",
        "zip",
    ]
)
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def tells_where(name: str) -> bool:
    """Whether a member of this name holds a place, however its words are joined: ``lastLocation``, ``gps_lat``."""
    return any(word.lower() in _WORDS for word in _WORD.findall(name))
