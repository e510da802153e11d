// The log's tail, as one would follow it by hand: LISTEN tells that there is something new, which is then read. What
// happens while the connection is away is missed.
import pg from 'pg'

import { connect, since } from './page.js'

// Hands each new event to `publish`, in the order of the log. Gives a function that ends it.
export async function follow (connectionString, publish) {
  const pool = connect(connectionString)
  const listener = new pg.Client({ connectionString })
  await listener.connect()
  let position = (await listener.query('SELECT position FROM log_head')).rows[0].position
  let reading = false
  let again = false

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
        publish(event)
      }
      again ||= events.length > 0
    } while (again)
    reading = false
  }

  listener.on('notification', read)
  await listener.query('LISTEN sluice_log')
  return async () => {
    await listener.end()
    await pool.end()
  }
}
