// What a team would write with graphql-ws alone, fed by LISTEN/NOTIFY. It has no way to resume. DATABASE_URL names the
// database, PORT the port on the loopback address.
import { EventEmitter, on } from 'node:events'

import { buildSchema } from 'graphql'
import { useServer } from 'graphql-ws/use/ws'
import { WebSocketServer } from 'ws'

import { schema } from '../mercurius/schema.js'
import { follow } from '../mercurius/tail.js'

const events = new EventEmitter()
events.setMaxListeners(0)

async function * syncEvents () {
  for await (const [event] of on(events, 'event')) {
    yield { syncEvents: event }
  }
}

const server = new WebSocketServer({ host: '127.0.0.1', port: Number(process.env.PORT), path: '/graphql' })
useServer({
  schema: buildSchema(schema + 'type Subscription { syncEvents: SyncEvent! }'),
  roots: { subscription: { syncEvents } }
}, server)
const stop = await follow(process.env.DATABASE_URL, event => events.emit('event', event))

process.on('SIGTERM', async () => {
  server.close()
  await stop()
})
