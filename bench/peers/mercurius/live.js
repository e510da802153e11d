// What a good team would write instead of sluice's subscription: mercurius, fed by LISTEN/NOTIFY. It has no way to
// resume. DATABASE_URL names the database, PORT the port on the loopback address.
import Fastify from 'fastify'
import mercurius from 'mercurius'

import { connect, connection, page } from './page.js'
import { schema } from './schema.js'
import { follow } from './tail.js'

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

const stop = await follow(process.env.DATABASE_URL, event => {
  app.graphql.pubsub.publish({ topic: EVENTS, payload: { syncEvents: event } })
})
await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT) })

process.on('SIGTERM', async () => {
  await app.close()
  await stop()
  await pool.end()
})
