// The part of the graph that the page asks for, under sluice's names.
export const schema = `
  scalar DateTime
  scalar Position
  scalar UUID

  enum Severity { DEBUG INFO WARN ERROR }

  type Entity {
    oktaId: String
    alternateId: String
    displayName: String
    type: String!
  }

  type Outcome {
    result: String!
    reason: String
  }

  type SyncEvent {
    id: ID!
    position: Position!
    org: String!
    uuid: UUID!
    eventType: String!
    published: DateTime!
    message: String
    version: String
    severity: Severity
    outcome: Outcome
    admin: Entity
    user: Entity
    applicationUser: Entity
    application: Entity
    receivedAt: DateTime!
  }

  type PageInfo {
    hasNextPage: Boolean!
    hasPreviousPage: Boolean!
    startCursor: String
    endCursor: String
  }

  type SyncEventEdge {
    cursor: String!
    node: SyncEvent!
  }

  type SyncEventConnection {
    edges: [SyncEventEdge!]!
    nodes: [SyncEvent!]!
    pageInfo: PageInfo!
  }

  input SyncEventFilter {
    applicationInstances: [String!]
  }

  type Query {
    syncEvents(filter: SyncEventFilter, first: Int = 50, after: String): SyncEventConnection!
  }
`
