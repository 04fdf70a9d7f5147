"""Named reports on what was searched, under which rules. Counts only; nothing that somebody wrote is in them.

One search of one partner is one leg. An owner reads of its own systems.
"""

from typing import Final

from broker.oversight.query import Query

_LEGS: Final = """
        FROM search_leg l JOIN search s ON s.id = l.search_id
"""
_PERIOD: Final = """
        WHERE l.requested_at >= :since AND l.requested_at < :until
          AND (CAST(:partners AS text[]) IS NULL OR l.partner = ANY (CAST(:partners AS text[])))
"""
_ACCEPTED: Final = ("search:request:accepted",)
_ENDED: Final = ("search:leg:ended",)

CIVIL: Final = Query(
    name="civil-enforcement",
    definition=(
        "Searches whose purpose is civil enforcement and nothing else, by partner and component: how many were asked "
        "for, refused by the rules or the partner, and sent."
    ),
    sql=f"""
        SELECT l.partner, s.component, s.purpose, count(*) AS requested,
               count(*) FILTER (WHERE l.state = 'refused') AS refused,
               count(*) FILTER (WHERE l.calls > 0) AS sent
        {_LEGS} {_PERIOD} AND s.civil_enforcement_only
        GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    """,
    tags=_ACCEPTED,
)

TRAINING: Final = Query(
    name="training",
    definition=(
        "Users who searched, by partner and component, and searches of users whose training was not valid on the day: "
        "asked for, and sent all the same, which must be none."
    ),
    sql=f"""
        SELECT l.partner, s.component, count(DISTINCT s.requested_by) AS users, count(*) AS requested,
               count(DISTINCT s.requested_by) FILTER (WHERE NOT s.training_valid) AS users_without_valid_training,
               count(*) FILTER (WHERE NOT s.training_valid) AS requested_without_valid_training,
               count(*) FILTER (WHERE NOT s.training_valid AND l.calls > 0) AS sent_without_valid_training
        {_LEGS} {_PERIOD}
        GROUP BY 1, 2 ORDER BY 1, 2
    """,
    tags=_ACCEPTED,
)

PROBES: Final = Query(
    name="probes",
    definition=(
        "Probes by partner and kind: how many were edited, of how many nobody attested a lawful acquisition, how many "
        "were said to be of activity that the First Amendment protects, and how many were the same file as one that "
        "had been searched before."
    ),
    sql=f"""
        SELECT l.partner, p.kind, count(*) AS requested,
               count(*) FILTER (WHERE jsonb_array_length(s.terms -> 'probe' -> 'edits') > 0) AS edited,
               count(*) FILTER (WHERE s.terms -> 'probe' -> 'lawful_acquisition_attested' = 'false') AS not_attested,
               count(*) FILTER (WHERE s.terms -> 'probe' -> 'first_amendment_activity' = 'true') AS protected_activity,
               count(*) FILTER (WHERE before.found) AS searched_before
        {_LEGS} JOIN probe p ON p.search_id = s.id
        CROSS JOIN LATERAL (
            SELECT EXISTS (
                SELECT FROM probe q JOIN search t ON t.id = q.search_id
                WHERE q.submitted_sha256 = p.submitted_sha256 AND t.requested_at < s.requested_at
                  -- That other partners were asked about it is for their owners to know.
                  AND (CAST(:partners AS text[]) IS NULL OR EXISTS (
                      SELECT FROM search_leg k WHERE k.search_id = t.id AND k.partner = ANY (CAST(:partners AS text[]))))
            ) AS found
        ) AS before
        {_PERIOD}
        GROUP BY 1, 2 ORDER BY 1, 2
    """,
    tags=_ACCEPTED,
)

PARTNERS: Final = Query(
    name="partners",
    definition=(
        "Partners that were asked for searches: how many searches, sent, and refused as outside an agreement, because the "
        "partner is not approved, its agreement is not in force, or does not name the purpose; first and last. Which "
        "agreements there are stands in the register of partners."
    ),
    sql=f"""
        SELECT l.partner, count(*) AS requested, count(*) FILTER (WHERE l.calls > 0) AS sent,
               count(*) FILTER (WHERE l.refusals @> '[{{"code": "partner_not_approved"}}]') AS not_approved,
               count(*) FILTER (WHERE l.refusals @> '[{{"code": "agreement_out_of_force"}}]') AS out_of_force,
               count(*) FILTER (WHERE l.refusals @> '[{{"code": "purpose_not_agreed"}}]') AS purpose_not_agreed,
               min(l.requested_at) AS first, max(l.requested_at) AS last
        {_LEGS} {_PERIOD}
        GROUP BY 1 ORDER BY 1
    """,
    tags=_ACCEPTED,
)

REFUSED: Final = Query(
    name="refused-searches",
    definition=(
        "Searches that the rules refused, by partner, reason and authored line. One with several reasons stands in "
        "several rows; `case_not_open` are those without an open case, `basis_below_floor` those below the floor."
    ),
    sql=f"""
        SELECT l.partner, refusal ->> 'code' AS reason,
               (refusal -> 'rule' ->> 'file') || ':' || (refusal -> 'rule' ->> 'line') AS rule,
               count(*) AS refused, count(*) FILTER (WHERE l.calls > 0) AS sent
        {_LEGS} CROSS JOIN LATERAL jsonb_array_elements(l.refusals) AS refusal
        {_PERIOD}
        GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    """,
    tags=_ENDED,
)

SEARCH_QUERIES: Final = (CIVIL, TRAINING, PROBES, PARTNERS, REFUSED)
