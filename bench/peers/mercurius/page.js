// A page of events, newest first, by keyset: one statement, whatever its depth.
import pg from 'pg'

// 2026-01-31 12:00:00.5+00, as PostgreSQL prints a time in UTC, becomes 2026-01-31T12:00:00.500Z.
const TIMESTAMPTZ = 1184
pg.types.setTypeParser(TIMESTAMPTZ, (text) => {
  const end = text.length - 3
  const fraction = text.slice(20, end)
  return `${text.slice(0, 10)}T${text.slice(11, 19)}.${fraction.padEnd(3, '0')}Z`
})

// Each statement below is planned once: left to itself, PostgreSQL may plan a page of many partitions anew each time,
// which takes longer than to read it.
const SETTINGS = '-c timezone=UTC -c jit=off -c plan_cache_mode=force_generic_plan'

export function connect (connectionString) {
  return new pg.Pool({ connectionString, max: 16, options: SETTINGS })
}

const COLUMNS = `position, published, org, uuid, event_type, message, version, severity, outcome_result, outcome_reason,
  admin_id, admin_alternate_id, admin_display_name, admin_type, user_id, user_alternate_id, user_display_name,
  application_user_id, application_user_alternate_id, application_user_display_name, instance_id, instance_label,
  instance_display_name, received_at`

// The bound on published alone is redundant, and lets the planner leave out partitions.
const statements = new Map([
  ['line', ''],
  ['line-after', 'WHERE published <= $2 AND (published, position) < ($2, $3)'],
  ['instance', 'WHERE instance_id = $2'],
  ['instance-after', 'WHERE instance_id = $2 AND published <= $3 AND (published, position) < ($3, $4)'],
  ['instances', 'WHERE instance_id = ANY($2)'],
  ['instances-after', 'WHERE instance_id = ANY($2) AND published <= $3 AND (published, position) < ($3, $4)']
].map(([name, where]) => [
  name,
  `SELECT ${COLUMNS} FROM sync_event ${where} ORDER BY published DESC, position DESC LIMIT $1`
]))

export async function page (pool, filter, first, after) {
  if (first < 0 || first > 1000) {
    throw new Error(`first is ${first}; expected 0 to 1000`)
  }
  const values = [first + 1]
  let name = 'line'
  const instances = filter?.applicationInstances
  if (instances?.length === 1) {
    // An equality keeps the index's order; ANY would sort.
    name = 'instance'
    values.push(instances[0])
  } else if (instances) {
    name = 'instances'
    values.push(instances)
  }
  if (after) {
    name += '-after'
    values.push(...readCursor(after))
  }
  const { rows } = await pool.query({ name, text: statements.get(name), values })
  const hasNextPage = rows.length > first
  if (hasNextPage) {
    rows.pop()
  }
  return { rows, hasNextPage, hasPreviousPage: Boolean(after) }
}

// Called for the fields that are asked for, and only then.
export const connection = {
  nodes: ({ rows }) => rows.map(event),
  edges: ({ rows }) => rows.map((row) => ({ cursor: cursor(row), node: event(row) })),
  pageInfo: ({ rows, hasNextPage, hasPreviousPage }) => ({
    hasNextPage,
    hasPreviousPage,
    startCursor: rows.length > 0 ? cursor(rows[0]) : null,
    endCursor: rows.length > 0 ? cursor(rows[rows.length - 1]) : null
  })
}

function event (row) {
  return {
    id: Buffer.from(`SyncEvent:${row.position}`).toString('base64url'),
    position: row.position,
    org: row.org,
    uuid: row.uuid,
    eventType: row.event_type,
    published: row.published,
    message: row.message,
    version: row.version,
    severity: row.severity,
    outcome: row.outcome_result === null ? null : { result: row.outcome_result, reason: row.outcome_reason },
    admin: entity(row.admin_id, row.admin_alternate_id, row.admin_display_name, row.admin_type),
    user: entity(row.user_id, row.user_alternate_id, row.user_display_name, 'User'),
    applicationUser: entity(
      row.application_user_id,
      row.application_user_alternate_id,
      row.application_user_display_name,
      'AppUser'
    ),
    application: entity(row.instance_id, row.instance_label, row.instance_display_name, 'AppInstance'),
    receivedAt: row.received_at
  }
}

function entity (id, alternateId, displayName, type) {
  return id === null ? null : { oktaId: id, alternateId, displayName, type }
}

function cursor (row) {
  return Buffer.from(`${row.published} ${row.position}`).toString('base64url')
}

function readCursor (text) {
  const [published, position] = Buffer.from(text, 'base64url').toString().split(' ')
  if (!position || Number.isNaN(Date.parse(published))) {
    throw new Error('after is no cursor of this list')
  }
  return [published, position]
}

// The events after a position, in the order of the log.
export async function since (pool, position) {
  const text = `SELECT ${COLUMNS.replace('position, published', 'e.position, e.published').replace('org, uuid', 'e.org, e.uuid')}
    FROM arrival a JOIN sync_event e ON e.published = a.published AND e.position = a.position
    WHERE a.position > $1 ORDER BY a.position LIMIT 1000`
  const { rows } = await pool.query({ name: 'since', text, values: [position] })
  return rows.map(event)
}
