"""What became of corrections, and traces forward and backward from one record: counts and ids, never content."""

from typing import Final

from broker.oversight.query import Query

# A notification carries the notice's own moment, which finds it by the inbox's index.
_TOLD: Final = """
    (d.acknowledged_at IS NOT NULL OR EXISTS (
        SELECT FROM notification m WHERE m.recipient = d.recipient AND m.at = n.recorded_at
          AND m.subject = 'notice_recorded' AND m.about ->> 'notice' = n.id
          AND (m.delivered_at IS NOT NULL OR m.read_at IS NOT NULL)))
"""

CORRECTIONS: Final = Query(
    name="corrections",
    definition=(
        "Notices of owners that something is disputed, corrected or withdrawn: who reported it, the finding, and of the "
        "disclosures on record how many recipients have `to_tell`, were `told` (brought to their address, or read), "
        "have `acknowledged`, are `overdue`; `days` until the last acknowledgement where none is open, otherwise until "
        "the end of the period. Where the owner's system is exempt from the duty (5 USC 552a(c)(4)), `exempt` counts "
        "its recipients, who are in no other column but `acknowledged`, and `ground` says why."
    ),
    sql=f"""
        SELECT n.id AS notice, n.owner, n.item_id AS item, n.recorded_by AS reported_by, n.recorded_at AS reported_at,
               n.kind AS finding, n.lifted_at,
               count(d.*) FILTER (WHERE n.exempt_ground IS NULL) AS to_tell,
               count(d.*) FILTER (WHERE n.exempt_ground IS NULL AND {_TOLD}) AS told,
               count(d.*) FILTER (WHERE d.acknowledged_at IS NOT NULL) AS acknowledged,
               count(d.*) FILTER (WHERE n.exempt_ground IS NULL AND d.acknowledged_at IS NULL
                   AND n.lifted_at IS NULL AND n.acknowledge_by <= CAST(:until AS timestamptz)) AS overdue,
               count(d.*) FILTER (WHERE n.exempt_ground IS NOT NULL) AS exempt, n.exempt_ground AS ground,
               floor(extract(epoch FROM
                   CASE WHEN count(d.*) FILTER (WHERE d.acknowledged_at IS NULL) = 0
                        THEN coalesce(max(d.acknowledged_at), n.recorded_at)
                        ELSE coalesce(n.lifted_at, greatest(CAST(:until AS timestamptz), n.recorded_at)) END
                   - n.recorded_at) / 86400)::integer AS days
        FROM notice n LEFT JOIN notice_delivery d ON d.notice_id = n.id
        WHERE n.recorded_at >= :since AND n.recorded_at < :until
          AND (CAST(:owners AS text[]) IS NULL OR n.owner = ANY (CAST(:owners AS text[])))
        GROUP BY n.id ORDER BY n.recorded_at, n.id
    """,
    tags=("recall:notice:recorded", "recall:notice:acknowledged", "recall:notice:lifted"),
)

TO_DESTROY: Final = Query(
    name="copies-to-destroy",
    definition=(
        "Copies that an owner wanted gone by a moment that lies in the period, by that moment: `release` and `item`, who "
        "holds it, and `days_over` at the end of the period. The broker hands none of them out again; that the holder "
        "has destroyed its own is for the owner to ask."
    ),
    sql="""
        SELECT purge_by, release_id AS release, item_id AS item, recipient, person, component AS disclosed_by,
               floor(extract(epoch FROM CAST(:until AS timestamptz) - purge_by) / 86400)::integer AS days_over
        FROM disclosure
        WHERE purge_by >= :since AND purge_by < :until
          AND (CAST(:owners AS text[]) IS NULL OR owners && CAST(:owners AS text[])
               OR component = ANY (CAST(:owners AS text[])))
        ORDER BY purge_by, id
    """,
    tags=("decision:gate:made",),
)

TRACE: Final = Query(
    name="trace",
    definition=(
        "One record, followed both ways; name it with `item`. `forward`: everything made of it and each disclosure of "
        "that, with who received it. `backward`: everything it derives from, down to the systems that answered. An owner reads it of an item in which it has a part, and of the others only those "
        "in which it has one; the period is that of the disclosures."
    ),
    sql="""
        WITH RECURSIVE
        mine(id) AS (
            SELECT i.id FROM item i WHERE i.id = :item AND (CAST(:owners AS text[]) IS NULL
                OR EXISTS (SELECT FROM item_marking k WHERE k.item_id = i.id
                           AND k.owner = ANY (CAST(:owners AS text[]))))),
        forward(id) AS (
            SELECT id FROM mine
            UNION SELECT s.item_id FROM item_source s JOIN forward f ON s.source_id = f.id),
        backward(id) AS (
            SELECT id FROM mine
            UNION SELECT s.source_id FROM item_source s JOIN backward b ON s.item_id = b.id),
        found AS (SELECT 'forward' AS direction, id FROM forward UNION ALL
                  SELECT 'backward', id FROM backward WHERE id <> :item)
        SELECT f.direction, f.id AS item, i.kind, i.created_at AS made_at,
               ARRAY (SELECT DISTINCT k.owner FROM item_marking k WHERE k.item_id = f.id
                      AND (CAST(:owners AS text[]) IS NULL OR k.owner = ANY (CAST(:owners AS text[])))
                      ORDER BY 1) AS owners,
               ARRAY (SELECT DISTINCT k.source_system FROM item_marking k WHERE k.item_id = f.id
                      AND k.source_system IS NOT NULL
                      AND (CAST(:owners AS text[]) IS NULL OR k.owner = ANY (CAST(:owners AS text[])))
                      ORDER BY 1) AS systems,
               x.id AS disclosure, x.release_id AS release, x.at AS disclosed_at, x.recipient, x.component AS disclosed_by
        FROM found f LEFT JOIN item i ON i.id = f.id
             LEFT JOIN disclosure x ON x.item_id = f.id AND f.direction = 'forward'
                 AND x.at >= :since AND x.at < :until
                 -- A copy that held nothing of this owner's is the other owners' business.
                 AND (CAST(:owners AS text[]) IS NULL OR x.owners && CAST(:owners AS text[])
                      OR x.component = ANY (CAST(:owners AS text[])))
        WHERE CAST(:owners AS text[]) IS NULL
           OR EXISTS (SELECT FROM item_marking k WHERE k.item_id = f.id AND k.owner = ANY (CAST(:owners AS text[])))
        ORDER BY f.direction DESC, i.created_at, f.id, x.at, x.id
    """,
    tags=("decision:gate:made",),
)
