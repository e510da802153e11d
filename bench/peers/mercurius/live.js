// What a good team would write instead of sluice's subscription: mercurius, fed by LISTEN/NOTIFY. It misses what happens
// while it is away, and has no way to resume. DATABASE_URL names the database, PORT the port on the loopback address.
import Fastify from 'fastify'
import mercurius from 'mercurius'
import pg from 'pg'

import { connect, connection, page, since } from './page.js'
import { schema } from './schema.js'

const pool = connect(process.env.DATABASE_URL)
const EVENTS = 'EVENTS'

const app = Fastify({ logger: false })
app.register(mercurius, {
  schema: schema + 'type Subscription { syncEvents: SyncEvent! }',
  resolvers: {
    Query: { syncEvents: (_, { filter, first, after }) => page(pool, filter, first, after) },
    SyncEventConnection: connection,
    Subscription: { syncEvents: { subscribe: (_, __, { pubsub }) => pubsub.subscribe(EVENTS) } }
  },
  jit: 1,
  path: '/graphql',
  subscription: true
})
await app.ready()

const listener = new pg.Client({ connectionString: process.env.DATABASE_URL })
await listener.connect()
let position = (await listener.query('SELECT position FROM log_head')).rows[0].position
let reading = false
let again = false
listener.on('notification', read)
await listener.query('LISTEN sluice_log')

// One read at a time, each from where the last one ended.
async function read () {
  if (reading) {
    again = true
    return
  }
  reading = true
  do {
    again = false
    const events = await since(pool, position)
    for (const event of events) {
      position = event.position
      app.graphql.pubsub.publish({ topic: EVENTS, payload: { syncEvents: event } })
    }
    again ||= events.length > 0
  } while (again)
  reading = false
}

await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT) })

process.on('SIGTERM', async () => {
  await app.close()
  await listener.end()
  await pool.end()
})
