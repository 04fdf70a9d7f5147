"""What an operator may set: environment variables ``BROKER_*``, or the same names in a file ``.env``.

It refuses to start on a name it does not know (a typing error must not silently leave a default in force), on a
sample secret, and on values that contradict each other. Every refusal is a ConfigurationError that says what to change.
"""

import os
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Final, Self
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, DotEnvSettingsSource, NoDecode, SettingsConfigDict

from broker.kernel import strict_json
from broker.kernel.errors import ConfigurationError
from broker.kernel.this_machine import is_this_machine

PREFIX: Final = "BROKER_"
_SAMPLES: Final = frozenset(
    {"change", "changeit", "changeme", "default", "dummy", "example", "password", "placeholder", "replaceme", "sample"}
    | {"secret", "todo", "topsecret", "xxx", "xxxx", "yourpassword", "yoursecret"}
)
_KEY_BYTES: Final = 32


def is_sample_secret(text: str) -> bool:
    """Whether *text* is one of the words that documents put where a secret belongs, however it is dressed up."""
    bare = "".join(letter for letter in text.casefold() if letter.isalnum()).rstrip("0123456789")
    return bare in _SAMPLES or (text.startswith("<") and text.endswith(">"))


def _database_url(text: str) -> str:
    scheme, separator, rest = text.partition("://")
    if not separator or scheme not in {"postgresql", "postgres", "postgresql+psycopg"}:
        raise ValueError("must be a postgresql:// URL")
    url = f"postgresql://{rest}"
    try:
        password = urlsplit(url).password
    except ValueError:
        raise ValueError("is not a readable URL") from None
    if password is not None and is_sample_secret(unquote(password)):
        raise ValueError("has a sample password; set one of your own")
    return url


def _web_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        readable = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        readable = False
    if not readable or parts.scheme not in {"http", "https"}:
        raise ValueError("must be an http:// or https:// URL")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("must have no credentials, query or fragment in it")
    return text.rstrip("/")


def _safe_url(text: str, otherwise: str) -> str:
    url = _web_url(text)
    parts = urlsplit(url)
    if parts.scheme != "https" and not is_this_machine(parts.hostname or ""):
        raise ValueError(f"must be an https:// URL{otherwise}")
    return url


def _key_url(text: str) -> str:
    return _safe_url(text, ", or who issues tokens could be forged on the way")


def _partner_url(text: str) -> str:
    return _safe_url(text, ": it is not on this machine")


def _strict_json(given: object) -> object:
    if not isinstance(given, str):
        return given
    try:
        return strict_json.read(given.encode())
    except strict_json.NotStrictJson as broken:
        raise ValueError(f'must be JSON such as {{"name": "https://…"}}: {broken}') from None


def _own_key_file(path: Path) -> Path:
    path = path.expanduser().absolute()
    try:
        content = path.read_bytes()
        mode = path.stat().st_mode
    except OSError:
        raise ValueError("names a file that cannot be read") from None
    if mode & 0o077:
        raise ValueError("names a file that others may read; chmod 600 it")
    if len(content) != _KEY_BYTES:
        raise ValueError(f"names a file of {len(content)} bytes; the key is exactly {_KEY_BYTES} random bytes")
    if len(set(content)) < _KEY_BYTES // 4:
        raise ValueError("names a file without a real key in it")
    if is_sample_secret(content.decode("utf-8", "replace").strip()):
        raise ValueError("names a file with a sample key in it; make one of your own")
    return path


def _absolute(path: Path) -> Path:
    # Child processes may have another working directory, so a relative path is made absolute once, here.
    return path.expanduser().absolute()


DatabaseUrl = Annotated[str, AfterValidator(_database_url)]
WebUrl = Annotated[str, AfterValidator(_web_url)]
PartnerUrl = Annotated[str, AfterValidator(_partner_url)]


class Settings(BaseSettings):
    """One value for each ``BROKER_*`` name. Use :func:`load_settings`, which words the errors for an operator."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        frozen=True,
        extra="ignore",  # A .env may serve other programs too; foreign BROKER_* names are refused by load_settings.
        hide_input_in_errors=True,
    )

    host: str = Field(default="127.0.0.1", min_length=1)
    """Address that the API listens on."""
    port: int = Field(default=8080, ge=0, le=65535)
    """Port that the API listens on; 0 takes any free one."""
    public_url: WebUrl | None = None
    """Where partners and callers reach the API, when that is not http://host:port."""
    drain_seconds: float = Field(default=0.0, ge=0, le=60, allow_inf_nan=False)
    """How long a process that was asked to end still takes calls, and says that it is not ready."""
    traces: bool = False
    """Whether traces are exported, as OTEL_* variables say; needs the extra `otel`."""
    home: Annotated[Path, AfterValidator(_absolute)] = Field(default=Path(".broker"), validate_default=True)
    """Folder for keys, blobs and the embedded database."""
    database_url: DatabaseUrl | None = Field(default=None, repr=False)
    """A PostgreSQL of one's own; unset, the embedded one is used."""
    owner_database_url: DatabaseUrl | None = Field(default=None, repr=False)
    """The same database as the role that owns the schema, for migrations."""
    policies: Annotated[Path, AfterValidator(_absolute)] = Field(default=Path("policies"), validate_default=True)
    """Folder of the policy files."""
    issuer: str | None = Field(default=None, min_length=1)
    """Who issues tokens; unset, only development tokens of ``broker token`` are accepted."""
    audience: str = Field(default="interagency-request-broker", min_length=1)
    """What a token's ``aud`` must name."""
    jwks_url: Annotated[str, AfterValidator(_key_url)] | None = None
    """Where the issuer publishes its keys."""
    partner_urls: Annotated[dict[str, PartnerUrl], NoDecode, BeforeValidator(_strict_json)] = Field(
        default_factory=dict
    )
    """URLs of partners over the registry's, as JSON ``{name: url}``."""
    sealing_key_file: Annotated[Path, AfterValidator(_own_key_file)] | None = None
    """File with the key that seals content; unset, one is kept under ``home/keys``."""

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if (self.issuer is None) != (self.jwks_url is None):
            raise ValueError("BROKER_ISSUER and BROKER_JWKS_URL are set together or not at all")
        if self.owner_database_url is not None and self.database_url is None:
            raise ValueError("BROKER_OWNER_DATABASE_URL is of use only together with BROKER_DATABASE_URL")
        return self

    @property
    def embedded(self) -> bool:
        """Whether the broker brings its own database along."""
        return self.database_url is None

    @property
    def base_url(self) -> str:
        """Where others reach the API. With port 0 this is not known before the socket is bound."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.public_url or f"http://{host}:{self.port}"


def known_names() -> tuple[str, ...]:
    """Every name that may be set, in the order of the documentation."""
    return tuple(PREFIX + field.upper() for field in Settings.model_fields)


def load_settings(env_file: Path | None = Path(".env")) -> Settings:
    """Read the environment, and *env_file* for what the environment leaves open.

    Raises ConfigurationError naming every variable that is unknown or not acceptable; values are never repeated.
    """
    faults = _unknown_names(env_file)
    try:
        settings = Settings(_env_file=env_file, _env_file_encoding="utf-8")
    except ValidationError as error:
        faults += [_fault(problem["loc"], problem["msg"]) for problem in error.errors(include_input=False)]
    except (OSError, UnicodeDecodeError):
        faults.append(f"the file {env_file} cannot be read as UTF-8 text")
    if faults:
        raise ConfigurationError("; ".join(faults))
    return settings


def _fault(location: tuple[int | str, ...], message: str) -> str:
    message = message.removeprefix("Value error, ")
    if not location:
        return message
    inner = "".join(f"[{step}]" for step in location[1:])
    return f"{PREFIX}{str(location[0]).upper()}{inner}: {message}"


def _unknown_names(env_file: Path | None) -> list[str]:
    given = set(os.environ)
    if env_file is not None and env_file.is_file():
        try:
            source = DotEnvSettingsSource(Settings, env_file=env_file, env_file_encoding="utf-8", case_sensitive=True)
        except (OSError, UnicodeDecodeError):
            return []
        given |= set(source.env_vars)
    known = known_names()
    return [
        f"{name} is not a setting; {_hint(name.upper(), known)}"
        for name in sorted(given)
        if name.upper().startswith(PREFIX) and name.upper() not in known
    ]


def _hint(name: str, known: tuple[str, ...]) -> str:
    nearest = get_close_matches(name, known, n=1, cutoff=0.0)
    return f"did you mean {nearest[0]}?" if nearest else f"known are {', '.join(known)}"
