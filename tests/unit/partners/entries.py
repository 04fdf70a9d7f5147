"""Rows of the register of partners, for tests."""

from datetime import date

from broker.kernel.partner import Agreement, PartnerEntry


def entry(name="one", adapter="plug", url="https://partner.example/abis/"):
    return PartnerEntry(
        id=name,
        title="T",
        owner="CBP",
        custodian="CBP",
        adapter=adapter,
        url=url,
        gallery="g",
        approved=True,
        agreement=Agreement(number="1", valid_from=date(2020, 1, 1), valid_until=date(2035, 1, 1), purposes=("p",)),
        probe_kinds=("photo",),
    )
