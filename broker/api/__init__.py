"""The REST edge: who is calling, what they sent, what they may be shown. No rule of the field is decided here."""
