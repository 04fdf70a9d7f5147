"""A second evaluator in plain sets, written from the field's rules and not from the enforcer. At most 80 lines."""

UNDER = {"threat_to_life", "victim_identification", "deceased_identification"}
PARENT = {"CBP": "DHS", "ICE": "DHS", "ICE-HSI": "ICE", "ICE-ERO": "ICE", "FBI": "DOJ",
    "STATE-EX-DMV": "STATE-EX", "STATE-EX-POLICE": "STATE-EX", **dict.fromkeys(UNDER, "criminal_investigation"),
    "supervision_check_in": "civil_immigration_enforcement",
}  # fmt: skip
AGENCIES = {*PARENT, "DHS", "DOS", "DOJ", "STATE-EX", "VENDOR-EX", "CONTRACTOR-EX"} - UNDER - {"supervision_check_in"}
PURPOSES = {"criminal_investigation", "civil_immigration_enforcement", "supervision_check_in", *UNDER}


def up(name):
    return {name} | (up(PARENT[name]) if name in PARENT else set())


def needs_nothing(owner, q):
    """What the shipped files free: CBP within DHS, and the two components' own words; never civil enforcement."""
    crime = q.action == "release" and "criminal_investigation" in up(q.purpose)
    return crime and (owner in {"ICE-HSI", "ICE-ERO"} or (owner == "CBP" and "DHS" in up(q.recipient)))


def own_look(parts, q):
    return q.action == "view" and {p.asked_by for p in parts} == {q.recipient}


def met(code, owner, parts, q):
    if q.recipient == owner or code in {"lead_only", "no_onward"}:
        return True
    if own_look(parts, q):
        return code in {"originator_only", "department_only", "verify_with_owner"}
    return code == "department_only" and bool(up(owner) & up(q.recipient))


def owed(d, now, *asked):
    late = d.duty == "purge_by" and d.at is not None and d.at <= now
    return met(d.caveat, *asked) if d.duty == "attach_caveat" else d.duty in {"notify_owner", "purge_by"} and not late


def covers(grant, owner, parts, q, now):
    t, s = grant.terms, grant.terms.scope
    fields = t.fields is None or (bool(q.fields) and all(
        any(f == top or f.startswith(top + "/") for top in t.fields) for f in q.fields))  # fmt: skip
    return (
        t.owner == owner and grant.status == "active" and t.valid_from <= now < t.valid_until
        and (t.max_uses is None or grant.uses < t.max_uses)
        and t.action == q.action and fields
        and bool((up(q.recipient) if t.include_components else {q.recipient}) & set(t.recipients))
        and bool((up(q.purpose) if t.include_subpurposes else {q.purpose}) & set(t.purposes))
        and (not s.items or q.item in s.items)
        and (s.case_id is None or {q.case_id, *(p.case_id for p in parts)} == {s.case_id})
        and (s.partner is None or {p.source_system for p in parts} == {s.partner})
        and s.kind in {None, q.kind}
        and (t.onward or q.action == "view" or {p.asked_by for p in parts} == {q.asker})
        and all(met(code, owner, parts, q) for code in t.caveats) and all(owed(d, now, owner, parts, q) for d in t.duties)
    )  # fmt: skip


def asked_for(q, markings):
    """Whose it is: of each field those who have it, something in it, or what it lies in; in doubt everybody's."""
    fields = q.fields or ()
    sound = q.resolved and all(f[:1] == "/" and "~" not in f.replace("~0", "").replace("~1", "") for f in fields)
    whose = [{m for m in markings if m.selectors is None or any(
        f"{f}/".startswith(f"{s}/") or f"{s}/".startswith(f"{f}/") for s in m.selectors)} for f in fields]  # fmt: skip
    return set().union(*whose) if sound and whose and all(whose) else set(markings)


def permitted(q, markings, grants, now, expires, unreviewed):
    """True; False for what is no question at all; or the owners whose permission is missing, empty where it is not that."""
    markings = asked_for(q, markings)
    others = {m.owner for m in markings} - {q.recipient}
    if not markings or not {q.recipient, q.asker} | others <= AGENCIES or (others and q.purpose not in PURPOSES):
        return False
    of = {m.owner: [p for p in markings if p.owner == m.owner] for m in markings}
    asked = {one for one in others if not own_look(of[one], q) and not needs_nothing(one, q)}
    missing = {one for one in asked if not any(covers(g, one, of[one], q, now) for g in grants)}
    left = q.action != "view" and q.kind != "candidate_list" and unreviewed
    late = left or (expires is not None and expires <= now)
    unmet = not all(met(code, m.owner, of[m.owner], q) for m in markings for code in m.caveats)
    return missing or (set() if late or unmet else True)
