"""Opaque identifiers: a three-letter prefix that names the kind, then 130 random bits in base 32.

They are random, not sequential, so that an id tells nothing about how many others exist or when it was made.
"""

import base64
import re
import secrets
from typing import Final, NewType

CaseId = NewType("CaseId", str)
SearchId = NewType("SearchId", str)
TransactionId = NewType("TransactionId", str)
"""A search leg's id on the wire; it never changes, so that a retry is not a second search."""
ItemId = NewType("ItemId", str)
ReviewId = NewType("ReviewId", str)
GrantId = NewType("GrantId", str)
DecisionId = NewType("DecisionId", str)
ReleaseId = NewType("ReleaseId", str)
HeldReleaseId = NewType("HeldReleaseId", str)
DisclosureId = NewType("DisclosureId", str)
PermissionRequestId = NewType("PermissionRequestId", str)
NoticeId = NewType("NoticeId", str)
VerificationId = NewType("VerificationId", str)
VerificationRequestId = NewType("VerificationRequestId", str)
NotificationId = NewType("NotificationId", str)
ParticipantId = NewType("ParticipantId", str)
HandOverId = NewType("HandOverId", str)

AgencyId = NewType("AgencyId", str)
PurposeId = NewType("PurposeId", str)
PartnerId = NewType("PartnerId", str)
Subject = NewType("Subject", str)
"""The `sub` claim of a caller: who, as the issuer names them."""

_OPAQUE: Final = re.compile(r"[a-z]{3}_[a-z2-7]{26}\Z")


def new_id(prefix: str) -> str:
    """A fresh opaque id such as ``itm_…``; the prefix is three lower-case letters."""
    # Base 32 takes five bits a letter, so the first 26 letters of 17 random bytes are 130 bits, each letter as likely.
    return f"{prefix}_{base64.b32encode(secrets.token_bytes(17))[:26].decode('ascii').lower()}"


def is_opaque_id(text: str) -> bool:
    """Whether *text* has the shape of an id made here. Whether it names anything is another question."""
    return _OPAQUE.match(text) is not None
