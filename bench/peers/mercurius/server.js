// What a good team would write instead of sluice's page of events: mercurius, hand-written resolvers, one statement a
// page. DATABASE_URL names the database, PORT the port on the loopback address.
import Fastify from 'fastify'
import mercurius from 'mercurius'

import { connect, connection, page } from './page.js'
import { schema } from './schema.js'

const pool = connect(process.env.DATABASE_URL)

const resolvers = {
  Query: {
    syncEvents: (_, { filter, first, after }) => page(pool, filter, first, after)
  },
  SyncEventConnection: connection
}

const app = Fastify({ logger: false })
app.register(mercurius, { schema, resolvers, jit: 1, path: '/graphql' })
await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT) })

process.on('SIGTERM', async () => {
  await app.close()
  await pool.end()
})
