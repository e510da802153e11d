//! The event and the objects in it: every output of Okta's card, and the event's place in the log.

use std::sync::Arc;

use async_graphql::{Context, ID, Object, Result, SimpleObject};

use super::enums::{IngestSourceNode, Severity};
use super::nodes::{ApplicationInstanceNode, SyncEventNode};
use super::scalars::{DateTime, EventUuid, Json, LogPosition};
use crate::event::{Details, EntityColumns, EventColumn, EventFields as _, SyncEvent};
use crate::graphql::answer::error::coded;
use crate::graphql::answer::ids::NodeId;
use crate::graphql::answer::loaders::{self, ArrivalKey, DetailsKey, InstanceKey};
use crate::store::ArrivalRecord;

/// An actor or a target of an event, as the event names it: a person, an account in an application, an application
/// instance, or a system. Names are those of that moment; the entity may have another name today. System Log: `actor`, or an
/// entry of `target`.
#[derive(SimpleObject)]
#[graphql(name = "Entity")]
pub(super) struct EntityNode {
    /// Okta's id; null where Okta left it out. On the card: ID. System Log: `actor.id`, `target.id`.
    okta_id: Option<String>,
    /// A second identifier: a person's login, an account's user name in the application, or an application instance's label.
    /// On the card: Alternate ID. System Log: `actor.alternateId`, `target.alternateId`.
    alternate_id: Option<String>,
    /// The name for people. On the card: Display Name. System Log: `actor.displayName`, `target.displayName`.
    display_name: Option<String>,
    /// Okta's type, such as User, AppUser, AppInstance, SystemPrincipal or PublicClientApp: an open set. On the card: Type.
    /// System Log: `actor.type`, `target.type`.
    #[graphql(name = "type")]
    kind: String,
}

impl EntityNode {
    /// Returns the entity in these columns of an event; None where the event does not name it.
    fn of(event: &SyncEvent, columns: EntityColumns) -> Option<Self> {
        Some(Self {
            okta_id: Some(event.text(columns.id)?).filter(|id| !id.is_empty()).map(str::to_owned),
            alternate_id: owned(event, columns.alternate_id),
            display_name: owned(event, columns.display_name),
            kind: owned(event, columns.kind).unwrap_or_default(),
        })
    }
}

fn owned(event: &SyncEvent, column: EventColumn) -> Option<String> {
    event.text(column).map(str::to_owned)
}

/// Further facts that Okta attached to an event. System Log: `debugContext`.
#[derive(SimpleObject)]
pub(super) struct DebugContext {
    /// A map whose keys depend on the event type, and which Okta may change. On the card: Debug Data. System Log:
    /// `debugContext.debugData`.
    debug_data: Option<Json>,
}

/// The result of an event. System Log: `outcome`.
#[derive(SimpleObject)]
#[graphql(name = "Outcome")]
pub(super) struct OutcomeNode {
    /// The result: SUCCESS, FAILURE, SKIPPED, ALLOW, DENY, CHALLENGE, DEFERRED, SCHEDULED, ABANDONED, UNANSWERED, RATE_LIMIT
    /// or UNKNOWN. The set is open: Okta may add values. System Log: `outcome.result`.
    result: String,
    /// The reason for the result, often for a failure. Okta leaves it out of some failures. System Log: `outcome.reason`.
    reason: Option<String>,
}

/// The request or the job in Okta that several events belong to. System Log: `transaction`.
#[derive(SimpleObject)]
pub(super) struct Transaction {
    /// Okta's id of the transaction, for the filter `transactions`. System Log: `transaction.id`.
    okta_id: Option<String>,
    /// WEB for a request, JOB for a background job: an open set. System Log: `transaction.type`.
    #[graphql(name = "type")]
    kind: Option<String>,
}

/// The client that sent the request to Okta. System Log: `client`.
#[derive(SimpleObject)]
#[graphql(name = "Client")]
pub(super) struct ClientNode {
    /// The client's IP address. System Log: `client.ipAddress`.
    ip_address: Option<String>,
    /// The client's `User-Agent` header. System Log: `client.userAgent.rawUserAgent`.
    user_agent: Option<String>,
    /// The city in which Okta locates the address. System Log: `client.geographicalContext.city`.
    city: Option<String>,
    /// The country in which Okta locates the address. System Log: `client.geographicalContext.country`.
    country: Option<String>,
}

impl SyncEventNode {
    async fn details(&self, context: &Context<'_>) -> Result<String> {
        if let Details::Read(raw) = &self.0.details {
            return Ok(raw.to_string());
        }
        let found = loaders::load(context, DetailsKey(self.0.position)).await?;
        found.ok_or_else(|| coded("INTERNAL", "the event has no details"))
    }

    async fn arrival(&self, context: &Context<'_>) -> Result<ArrivalRecord> {
        let found = loaders::load(context, ArrivalKey(self.0.position)).await?;
        found.ok_or_else(|| coded("INTERNAL", "the event has no arrival"))
    }
}

/// One event of Okta's System Log, such as a sync that created or updated a user in an external application. The fields are
/// every output of the Okta Workflows card *Sync User in External Application*, and the event's place in sluice's log.
#[Object(name = "SyncEvent")]
impl SyncEventNode {
    /// The global id, for `node` and `nodes`.
    pub(in crate::graphql) async fn id(&self) -> ID {
        NodeId::SyncEvent(self.0.position).encode().into()
    }

    /// The event's place in sluice's log. Store the last position that you have handled, and resume from there.
    async fn position(&self) -> LogPosition {
        LogPosition(self.0.position)
    }

    /// The Okta org that the event is from, by its name in sluice's settings.
    async fn org(&self) -> &str {
        &self.0.org
    }

    /// Okta's identifier of the event, unique within its org. On the card: UUID. System Log: `uuid`.
    async fn uuid(&self) -> EventUuid {
        EventUuid(self.0.occurrence.uuid)
    }

    /// Okta's event type, such as `application.provision.user.sync`. On the card: Event Type. System Log: `eventType`.
    async fn event_type(&self) -> &str {
        self.0.occurrence.event_type()
    }

    /// When the event happened in Okta. On the card: Date and Time. System Log: `published`.
    async fn published(&self) -> DateTime {
        DateTime(self.0.occurrence.published)
    }

    /// The event in words. On the card: Message. System Log: `displayMessage`.
    async fn message(&self) -> Option<&str> {
        self.0.text(EventColumn::Message)
    }

    /// Okta's version of the event's format. On the card: Version. System Log: `version`.
    async fn version(&self) -> Option<&str> {
        self.0.text(EventColumn::Version)
    }

    /// Okta's severity; null for a value that Okta has not documented. System Log: `severity`.
    async fn severity(&self) -> Option<Severity> {
        Severity::named(self.0.text(EventColumn::Severity)?)
    }

    /// The result of the event; null where Okta gives none. System Log: `outcome`.
    async fn outcome(&self) -> Option<OutcomeNode> {
        let result = owned(&self.0, EventColumn::OutcomeResult)?;
        Some(OutcomeNode { result, reason: owned(&self.0, EventColumn::OutcomeReason) })
    }

    /// The actor: the admin, user, client or system that did it. On the card: Admin. System Log: `actor`.
    async fn admin(&self) -> Option<EntityNode> {
        EntityNode::of(&self.0, EntityColumns::ADMIN)
    }

    /// The Okta user whom the event is about. On the card: Okta User. System Log: the `target` of type `User`.
    async fn user(&self) -> Option<EntityNode> {
        EntityNode::of(&self.0, EntityColumns::USER)
    }

    /// The user's account in the application. On the card: Application User. System Log: the `target` of type `AppUser`.
    async fn application_user(&self) -> Option<EntityNode> {
        EntityNode::of(&self.0, EntityColumns::APPLICATION_USER)
    }

    /// The application instance as the event names it: `alternateId` is its label, and `displayName` the name of the
    /// application in Okta's catalogue. On the card: Application. System Log: the `target` of type `AppInstance`.
    async fn application(&self) -> Option<EntityNode> {
        EntityNode::of(&self.0, EntityColumns::APPLICATION)
    }

    /// The application instance as the catalogue has it today; null for an event without one.
    async fn application_instance(&self, context: &Context<'_>) -> Option<Result<ApplicationInstanceNode>> {
        let instance_id = owned(&self.0, EventColumn::InstanceId)?;
        let found = loaders::load(context, InstanceKey { org: self.0.org.clone(), instance_id }).await.transpose()?;
        Some(found.map(|instance| ApplicationInstanceNode(Arc::new(instance))))
    }

    /// Further facts that Okta attached to the event. On the card: Debug Context. System Log: `debugContext`.
    async fn debug_context(&self) -> Option<DebugContext> {
        let debug_data = owned(&self.0, EventColumn::DebugData)?;
        Some(DebugContext { debug_data: Some(Json(debug_data)) })
    }

    /// The request or the job in Okta that the event belongs to. System Log: `transaction`.
    async fn transaction(&self) -> Option<Transaction> {
        let okta_id = owned(&self.0, EventColumn::TransactionId);
        let kind = owned(&self.0, EventColumn::TransactionType);
        (okta_id.is_some() || kind.is_some()).then_some(Transaction { okta_id, kind })
    }

    /// The client that sent the request to Okta; null for a job. System Log: `client`.
    async fn client(&self) -> Option<ClientNode> {
        let [ip_address, user_agent, city, country] = [
            EventColumn::ClientIpAddress,
            EventColumn::ClientUserAgent,
            EventColumn::ClientCity,
            EventColumn::ClientCountry,
        ]
        .map(|column| owned(&self.0, column));
        let is_there = [&ip_address, &user_agent, &city, &country].into_iter().any(Option::is_some);
        is_there.then_some(ClientNode { ip_address, user_agent, city, country })
    }

    /// The whole event as Okta sent it, byte for byte. If a Workflows card came without the whole event, this is the event
    /// that sluice made of the card's fields. On the card: Event Details. System Log: the whole event.
    async fn event_details(&self, context: &Context<'_>) -> Result<Json> {
        self.details(context).await.map(Json)
    }

    /// The text of `eventDetails`, for hashes and archives: the bytes that Okta sent. A client's JSON parser would change
    /// them, since it rounds long numbers and drops blanks. System Log: the whole event.
    async fn raw(&self, context: &Context<'_>) -> Result<String> {
        self.details(context).await
    }

    /// The id of the event hook delivery that brought the event first; null if no hook has brought it. A subscriber may get
    /// the event before the hook does, and then this is null. On the card: Event ID. Event hook: `eventId`.
    async fn event_id(&self, context: &Context<'_>) -> Option<Result<String>> {
        self.arrival(context).await.map(|arrival| arrival.event_id).transpose()
    }

    /// When Okta made that delivery. On the card: Event Time. Event hook: `eventTime`.
    async fn event_time(&self, context: &Context<'_>) -> Option<Result<DateTime>> {
        self.arrival(context).await.map(|arrival| arrival.event_time.map(DateTime)).transpose()
    }

    /// The URL of the event hook that made that delivery. On the card: Source. Event hook: `source`.
    async fn source(&self, context: &Context<'_>) -> Option<Result<String>> {
        self.arrival(context).await.map(|arrival| arrival.source).transpose()
    }

    /// The headers of that delivery's request that sluice keeps, none of which has a secret. On the card: Headers.
    async fn headers(&self, context: &Context<'_>) -> Option<Result<Json>> {
        self.arrival(context).await.map(|arrival| arrival.headers.map(Json)).transpose()
    }

    /// When sluice stored the event, by the clock of its database.
    async fn received_at(&self) -> DateTime {
        DateTime(self.0.received_at)
    }

    /// The source that brought the event first.
    async fn first_received_via(&self) -> IngestSourceNode {
        self.0.first_source.into()
    }

    /// Every source that has brought the event, the first one first.
    async fn received_via(&self, context: &Context<'_>) -> Result<Vec<IngestSourceNode>> {
        Ok(self.arrival(context).await?.received_via.into_iter().map(IngestSourceNode::from).collect())
    }
}
