"""The named reports: what each counts, in words and in SQL. Periods are half-open, in UTC.

Every query takes `since`, `until` and `owners` (the agencies whose business the reader may see; None for all).
"""

from typing import Final

from broker.oversight.correction_queries import CORRECTIONS, TO_DESTROY, TRACE
from broker.oversight.query import Query
from broker.oversight.search_queries import SEARCH_QUERIES

_SEARCHES: Final = Query(
    name="searches",
    definition=(
        "Searches by partner and purpose. One search of one partner is one leg: `requested` counts legs asked for, "
        "`refused` those that the rules or the partner declined, `sent` those of which at least one call went out, "
        "`answered` those that got an answer, of which `no_hit` without a candidate. `retried` counts repeated calls "
        "of the same search under the same transaction id; they are in no other column."
    ),
    sql="""
        SELECT l.partner, s.purpose,
               count(*) AS requested,
               count(*) FILTER (WHERE l.calls > 0) AS sent,
               count(*) FILTER (WHERE l.state IN ('answered', 'no_hit')) AS answered,
               count(*) FILTER (WHERE l.state = 'no_hit') AS no_hit,
               count(*) FILTER (WHERE l.state = 'refused') AS refused,
               count(*) FILTER (WHERE l.state IN ('partner_error', 'timed_out', 'quarantined')) AS failed,
               count(*) FILTER (WHERE l.state = 'cancelled') AS cancelled,
               count(*) FILTER (WHERE s.civil_enforcement_only) AS civil_enforcement_only,
               count(*) FILTER (WHERE s.exigent) AS exigent,
               coalesce(sum(greatest(l.calls - 1, 0)), 0)::bigint AS retried
        FROM search_leg l JOIN search s ON s.id = l.search_id
        WHERE l.requested_at >= :since AND l.requested_at < :until
          AND (CAST(:partners AS text[]) IS NULL OR l.partner = ANY (CAST(:partners AS text[])))
        GROUP BY l.partner, s.purpose ORDER BY l.partner, s.purpose
    """,
    tags=("search:request:accepted",),
)

_BY_BASIS: Final = Query(
    name="searches-by-basis",
    definition="Searches by partner, evidentiary basis and predicate; `none` is a basis like any other and is shown.",
    sql="""
        SELECT l.partner, s.evidentiary_basis, s.predicate, count(*) AS requested,
               count(*) FILTER (WHERE NOT s.training_valid) AS without_valid_training
        FROM search_leg l JOIN search s ON s.id = l.search_id
        WHERE l.requested_at >= :since AND l.requested_at < :until
          AND (CAST(:partners AS text[]) IS NULL OR l.partner = ANY (CAST(:partners AS text[])))
        GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    """,
    tags=("search:request:accepted",),
)

_DISCLOSURES: Final = Query(
    name="disclosures",
    definition=(
        "Every disclosure: date, nature, purpose, name and address of the recipient, and whose information it was "
        "(5 USC 552a(c)(1)). An owner reads of its own part: whom else the item came from is the others' information."
    ),
    sql="""
        SELECT id, release_id, at, nature, purpose,
               CASE WHEN CAST(:owners AS text[]) IS NULL OR component = ANY (CAST(:owners AS text[])) THEN owners
                    ELSE ARRAY (SELECT owner FROM unnest(owners) AS owner WHERE owner = ANY (CAST(:owners AS text[])))
               END AS owners, recipient, person, address, component, disclosed_by
        FROM disclosure
        WHERE at >= :since AND at < :until
          AND (CAST(:owners AS text[]) IS NULL OR owners && CAST(:owners AS text[])
               OR component = ANY (CAST(:owners AS text[])))
        ORDER BY at, id
    """,
    tags=("decision:gate:made",),
)

_BLOCKED: Final = Query(
    name="blocked-releases",
    definition=(
        "Releases asked for and refused, by asking component, recipient and reason. One refusal with several reasons "
        "stands in several rows."
    ),
    sql="""
        SELECT d.component, d.recipient, d.action, d.purpose, reason ->> 'code' AS reason,
               reason ->> 'owner' AS owner, count(*) AS refused, min(d.at) AS first, max(d.at) AS last
        FROM decision d CROSS JOIN LATERAL jsonb_array_elements(d.reasons) AS reason
        WHERE d.channel = 'release' AND d.outcome = 'deny' AND d.at >= :since AND d.at < :until
          AND (CAST(:owners AS text[]) IS NULL OR reason ->> 'owner' = ANY (CAST(:owners AS text[]))
               OR d.component = ANY (CAST(:owners AS text[])))
        GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6
    """,
    tags=("decision:gate:made",),
)

_WITHOUT_GRANT: Final = Query(
    name="releases-without-grant",
    definition=(
        "Releases on record whose decision is missing or was no Permit, or that relied on a grant which at that "
        "moment was not confirmed, not yet valid, expired or revoked. It must be empty."
    ),
    sql="""
        SELECT r.id AS release, r.at, r.item_id AS item, r.recipient, r.decision_id,
               CASE WHEN d.id IS NULL THEN 'no decision' WHEN d.outcome <> 'permit' THEN 'decision was a deny'
                    ELSE 'grant not in force' END AS fault
        FROM release r LEFT JOIN decision d ON d.id = r.decision_id
        WHERE r.at >= :since AND r.at < :until
          AND (CAST(:owners AS text[]) IS NULL OR d.owners && CAST(:owners AS text[])
               OR r.component = ANY (CAST(:owners AS text[])))
          AND (d.id IS NULL OR d.outcome <> 'permit' OR EXISTS (
                SELECT FROM unnest(r.grants) AS used(id) LEFT JOIN permission_grant g ON g.id = used.id
                WHERE g.id IS NULL OR g.status = 'pending' OR r.at < g.valid_from OR r.at >= g.valid_until
                   OR g.revoked_at <= r.at))
        ORDER BY r.at, r.id
    """,
    tags=("decision:gate:made",),
)

# Reviewers, leads and actions are of the component; whoever owns a part of the list or lead may count it, too.
_MINE: Final = """
    (CAST(:owners AS text[]) IS NULL OR i.component = ANY (CAST(:owners AS text[])) OR EXISTS (
        SELECT FROM item_marking m WHERE m.item_id = i.id AND m.owner = ANY (CAST(:owners AS text[]))))
"""

_REVIEWS: Final = Query(
    name="reviews",
    definition=(
        "Candidate lists with at least one candidate, by component and by the day they came in. `fully_reviewed`: two "
        "people, neither of them the requester, gave every candidate a disposition, which is `share_percent` of "
        "`lists`. `disagreed`: the two differed on a candidate at least; of these `resolved_by_third` and "
        "`still_disputed`."
    ),
    sql=f"""
        SELECT i.component, count(*) AS lists, count(s.item_id) AS fully_reviewed,
               round(100.0 * count(s.item_id) / count(*), 1)::float8 AS share_percent,
               count(*) FILTER (WHERE s.disagreements > 0) AS disagreed,
               count(n.item_id) AS resolved_by_third,
               count(*) FILTER (WHERE s.disagreements > 0 AND n.item_id IS NULL) AS still_disputed
        FROM item i LEFT JOIN review_state s ON s.item_id = i.id LEFT JOIN review_resolution n ON n.item_id = i.id
        WHERE i.kind = 'candidate_list' AND i.candidates > 0 AND i.created_at >= :since AND i.created_at < :until
          AND {_MINE}
        GROUP BY i.component ORDER BY i.component
    """,
    tags=("item:review:recorded", "item:review:disputed", "item:review:resolved"),
)

_LEADS: Final = Query(
    name="leads",
    definition=(
        "Leads by component and by the day they were written, with the last word on what became of them: "
        "`corroborated`, `refuted`, or `without_outcome`, said or never said. `actions` were recorded on these leads; "
        "`actions_without_corroboration` had nothing from outside the lead's searches and must be 0."
    ),
    sql=f"""
        SELECT i.component, count(*) AS leads,
               count(*) FILTER (WHERE o.outcome = 'corroborated') AS corroborated,
               count(*) FILTER (WHERE o.outcome = 'refuted') AS refuted,
               count(*) FILTER (WHERE o.outcome IS NULL OR o.outcome = 'no_outcome') AS without_outcome,
               coalesce(sum(a.actions), 0)::bigint AS actions,
               coalesce(sum(a.alone), 0)::bigint AS actions_without_corroboration
        FROM item i
        LEFT JOIN LATERAL (
            SELECT outcome FROM lead_outcome WHERE lead_id = i.id ORDER BY at DESC, id DESC LIMIT 1) o ON true
        LEFT JOIN LATERAL (
            SELECT count(*) AS actions, count(*) FILTER (WHERE independent < 1) AS alone
            FROM action_record WHERE lead_id = i.id) a ON true
        WHERE i.kind = 'lead' AND i.created_at >= :since AND i.created_at < :until AND {_MINE}
        GROUP BY i.component ORDER BY i.component
    """,
    tags=("lead:action:recorded", "lead:outcome:recorded"),
)

_PARTICIPANTS: Final = Query(
    name="participants",
    definition=(
        "Participants of partners that verify, as on `until`: a moment, or a day at its end. The row without a participant is the whole partner: of "
        "`enrolled` participants so many are `using` it, which is that at least one verification of them had been sent, "
        "and so many had accepted terms at all. The other rows are the participants, each with the version of the terms "
        "last accepted. Who had ended by then is in no number; `since` cuts off nothing here."
    ),
    sql="""
        WITH enrolled AS (
            SELECT p.partner, p.id, last.terms_version, last.accepted_at,
                   EXISTS (SELECT FROM search s JOIN search_leg l ON l.search_id = s.id
                           WHERE s.terms ->> 'participant' = p.id AND l.partner = p.partner AND l.calls > 0
                             AND l.requested_at < :until) AS uses
            FROM participant p LEFT JOIN LATERAL (
                SELECT a.terms_version, a.accepted_at FROM participant_acceptance a
                WHERE a.participant_id = p.id AND a.recorded_at < :until ORDER BY a.recorded_at DESC LIMIT 1) last ON true
            WHERE p.enrolled_at < :until AND (p.ended_at IS NULL OR p.ended_at >= :until)
              AND (CAST(:owners AS text[]) IS NULL OR p.agency = ANY (CAST(:owners AS text[]))
                   OR p.partner = ANY (CAST(:partners AS text[]))))
        SELECT partner, id AS participant, max(terms_version) AS terms_version, max(accepted_at) AS accepted_at,
               count(*) AS enrolled, count(*) FILTER (WHERE uses) AS using, count(terms_version) AS accepted
        FROM enrolled GROUP BY GROUPING SETS ((partner), (partner, id))
        UNION ALL
        SELECT nobody, NULL, NULL, NULL, 0, 0, 0 FROM unnest(CAST(:verifying AS text[])) AS nobody
        WHERE nobody NOT IN (SELECT partner FROM enrolled)
        ORDER BY partner, participant NULLS FIRST
    """,
    tags=("participant:register:enrolled", "participant:terms:accepted", "participant:register:ended"),
    as_of=True,
)

_HAND_OVERS: Final = Query(
    name="hand-overs",
    definition=(
        "Items of partners that verify participants: how many there are, how many were handed over at the contract's "
        "end, and how many are still kept; with the last hand-over's day, receiver and receipt."
    ),
    sql="""
        SELECT l.partner, count(l.item_id) AS items, count(h.item_id) AS handed_over,
               count(l.item_id) - count(h.item_id) AS kept, max(o.at) AS last_at,
               (array_agg(o.received_by ORDER BY o.at DESC NULLS LAST))[1] AS received_by,
               (array_agg(o.receipt ORDER BY o.at DESC NULLS LAST))[1] AS receipt
        FROM search_leg l LEFT JOIN hand_over_item h ON h.item_id = l.item_id
             LEFT JOIN hand_over o ON o.id = h.hand_over_id AND o.at < :until
        WHERE l.partner IN (SELECT partner FROM participant) AND l.requested_at < :until
          AND (CAST(:partners AS text[]) IS NULL OR l.partner = ANY (CAST(:partners AS text[])))
        GROUP BY l.partner ORDER BY l.partner
    """,
    tags=("participant:contract:handed_over",),
)

_EXIGENT: Final = Query(
    name="exigent",
    definition=(
        "Exigent releases, a row for each owner whose permission was missing: the ground, when the owner was told (a "
        "message delivered to it, or its officer's first reading, whichever came first) and after how many seconds, and "
        "what it said. `silent` is no consent: the copy ends after 24 hours. They are counted here and nowhere else."
    ),
    sql="""
        SELECT x.release_id AS release, r.at, r.component, r.recipient, d.person, x.danger AS ground, p.owner,
               told.at AS told_at, extract(epoch FROM told.at - r.at)::bigint AS seconds_until_told,
               p.state AS outcome, p.answered_at, p.answered_by, x.until,
               p.state = 'silent' AND x.until <= clock_timestamp() AS ended_in_silence
        FROM exigent_release x JOIN release r ON r.id = x.release_id
        JOIN disclosure d ON d.release_id = x.release_id
        JOIN exigent_part p ON p.release_id = x.release_id
        LEFT JOIN LATERAL (
            SELECT least(p.read_at, min(least(n.delivered_at, n.read_at))) AS at FROM notification n
            WHERE n.recipient = p.owner AND n.subject = 'exigent_release' AND n.about ->> 'release' = x.release_id
        ) AS told ON true
        WHERE r.at >= :since AND r.at < :until
          AND (CAST(:owners AS text[]) IS NULL OR p.owner = ANY (CAST(:owners AS text[]))
               OR r.component = ANY (CAST(:owners AS text[])))
        ORDER BY r.at, x.release_id, p.owner
    """,
    tags=("release:exigent:made", "release:exigent:answered"),
)

QUERIES: Final = {
    query.name: query
    for query in (
        _SEARCHES,
        _BY_BASIS,
        _DISCLOSURES,
        _BLOCKED,
        _WITHOUT_GRANT,
        _REVIEWS,
        _LEADS,
        _PARTICIPANTS,
        _HAND_OVERS,
        CORRECTIONS,
        TO_DESTROY,
        TRACE,
        _EXIGENT,
        *SEARCH_QUERIES,
    )
}
