//! The event and the objects in it: every output of Okta's card, and the event's place in the log.

use std::sync::Arc;

use async_graphql::{Context, ID, Object, Result, SimpleObject};
use uuid::Uuid;

use super::enums::{IngestSourceNode, Severity};
use super::nodes::{ApplicationInstanceNode, SyncEventNode};
use super::scalars::{DateTime, Json, LogPosition};
use crate::event::{Details, EntityColumns, EventColumn, EventFields as _, SyncEvent};
use crate::graphql::answer::error::coded;
use crate::graphql::answer::ids::NodeId;
use crate::graphql::answer::loaders::{self, ArrivalKey, DetailsKey, InstanceKey};
use crate::store::ArrivalRecord;

/// An admin, a user, an application user or an application, as the event names it.
#[derive(SimpleObject)]
#[graphql(name = "Entity")]
pub(super) struct EntityNode {
    /// Okta's id; null where Okta left it out.
    okta_id: Option<String>,
    /// A login, a user name in the application, or an instance's label.
    alternate_id: Option<String>,
    /// The display name.
    display_name: Option<String>,
    /// Okta's type: User, AppUser, AppInstance, SystemPrincipal …
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

/// Okta's debug context.
#[derive(SimpleObject)]
pub(super) struct DebugContext {
    /// A free map; Okta may change its keys.
    debug_data: Option<Json>,
}

/// The result of what happened.
#[derive(SimpleObject)]
#[graphql(name = "Outcome")]
pub(super) struct OutcomeNode {
    /// SUCCESS, FAILURE, SKIPPED …: an open set.
    result: String,
    /// Why.
    reason: Option<String>,
}

/// The transaction in Okta: the job or the request that several events belong to.
#[derive(SimpleObject)]
pub(super) struct Transaction {
    /// Okta's id of the transaction. In the System Log: transaction.id.
    okta_id: Option<String>,
    /// WEB, JOB …: an open set. In the System Log: transaction.type.
    #[graphql(name = "type")]
    kind: Option<String>,
}

/// The client that sent the request to Okta; a job has none.
#[derive(SimpleObject)]
#[graphql(name = "Client")]
pub(super) struct ClientNode {
    /// The client's IP address. In the System Log: client.ipAddress.
    ip_address: Option<String>,
    /// The client's name for itself. In the System Log: client.userAgent.rawUserAgent.
    user_agent: Option<String>,
    /// The city in which Okta locates the address. In the System Log: client.geographicalContext.city.
    city: Option<String>,
    /// The country in which Okta locates the address. In the System Log: client.geographicalContext.country.
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

/// An event in which an admin's sync, or what belongs to it, did something in an external application: every output of
/// Okta's card, and where it stands in the log.
#[Object(name = "SyncEvent")]
impl SyncEventNode {
    /// The global id.
    pub(in crate::graphql) async fn id(&self) -> ID {
        NodeId::SyncEvent(self.0.position).encode().into()
    }

    /// The event's place in the log.
    async fn position(&self) -> LogPosition {
        LogPosition(self.0.position)
    }

    /// The configured Okta org it came from.
    async fn org(&self) -> &str {
        &self.0.org
    }

    /// Okta's identity of the event. On the card: UUID.
    async fn uuid(&self) -> Uuid {
        self.0.occurrence.uuid
    }

    /// Okta's event type, such as application.provision.user.sync. On the card: Event Type.
    async fn event_type(&self) -> &str {
        self.0.occurrence.event_type()
    }

    /// When it happened in Okta. On the card: Date and Time.
    async fn published(&self) -> DateTime {
        DateTime(self.0.occurrence.published)
    }

    /// The event in words. On the card: Message.
    async fn message(&self) -> Option<&str> {
        self.0.text(EventColumn::Message)
    }

    /// Okta's version of the event's form. On the card: Version.
    async fn version(&self) -> Option<&str> {
        self.0.text(EventColumn::Version)
    }

    /// Okta's severity; null for a value that is none of these.
    async fn severity(&self) -> Option<Severity> {
        Severity::named(self.0.text(EventColumn::Severity)?)
    }

    /// The result of what happened.
    async fn outcome(&self) -> Option<OutcomeNode> {
        let result = owned(&self.0, EventColumn::OutcomeResult)?;
        Some(OutcomeNode { result, reason: owned(&self.0, EventColumn::OutcomeReason) })
    }

    /// The actor. On the card: Admin.
    async fn admin(&self) -> Option<EntityNode> {
        EntityNode::of(&self.0, EntityColumns::ADMIN)
    }

    /// The Okta user. On the card: Okta User.
    async fn user(&self) -> Option<EntityNode> {
        EntityNode::of(&self.0, EntityColumns::USER)
    }

    /// The user in the application. On the card: Application User.
    async fn application_user(&self) -> Option<EntityNode> {
        EntityNode::of(&self.0, EntityColumns::APPLICATION_USER)
    }

    /// The application instance as Okta sent it: its alternate id is the label, its display name the application's.
    /// On the card: Application.
    async fn application(&self) -> Option<EntityNode> {
        EntityNode::of(&self.0, EntityColumns::APPLICATION)
    }

    /// The application instance in the catalogue.
    async fn application_instance(&self, context: &Context<'_>) -> Option<Result<ApplicationInstanceNode>> {
        let instance_id = owned(&self.0, EventColumn::InstanceId)?;
        let found = loaders::load(context, InstanceKey { org: self.0.org.clone(), instance_id }).await.transpose()?;
        Some(found.map(|instance| ApplicationInstanceNode(Arc::new(instance))))
    }

    /// On the card: Debug Context.
    async fn debug_context(&self) -> Option<DebugContext> {
        let debug_data = owned(&self.0, EventColumn::DebugData)?;
        Some(DebugContext { debug_data: Some(Json(debug_data)) })
    }

    /// The transaction that the event belongs to. In the System Log: transaction.
    async fn transaction(&self) -> Option<Transaction> {
        let okta_id = owned(&self.0, EventColumn::TransactionId);
        let kind = owned(&self.0, EventColumn::TransactionType);
        (okta_id.is_some() || kind.is_some()).then_some(Transaction { okta_id, kind })
    }

    /// The client that sent the request to Okta; null for a job. In the System Log: client.
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

    /// The event as Okta sent it, byte for byte. If a card came without the whole event, the event that sluice made of the
    /// card's fields. On the card: Event Details.
    async fn event_details(&self, context: &Context<'_>) -> Result<Json> {
        self.details(context).await.map(Json)
    }

    /// The text of `eventDetails`: the bytes that Okta sent. A client's JSON parser changes them: it rounds long numbers and
    /// drops blanks.
    async fn raw(&self, context: &Context<'_>) -> Result<String> {
        self.details(context).await
    }

    /// The id of the event hook delivery that brought it first; null where none did. May come after live delivery,
    /// with a late hook. On the card: Event ID.
    async fn event_id(&self, context: &Context<'_>) -> Option<Result<String>> {
        self.arrival(context).await.map(|arrival| arrival.event_id).transpose()
    }

    /// When Okta made that delivery. On the card: Event Time.
    async fn event_time(&self, context: &Context<'_>) -> Option<Result<DateTime>> {
        self.arrival(context).await.map(|arrival| arrival.event_time.map(DateTime)).transpose()
    }

    /// The event hook that made that delivery. On the card: Source.
    async fn source(&self, context: &Context<'_>) -> Option<Result<String>> {
        self.arrival(context).await.map(|arrival| arrival.source).transpose()
    }

    /// The kept headers of that delivery's request, without those that bear secrets. On the card: Headers.
    async fn headers(&self, context: &Context<'_>) -> Option<Result<Json>> {
        self.arrival(context).await.map(|arrival| arrival.headers.map(Json)).transpose()
    }

    /// When sluice stored it.
    async fn received_at(&self) -> DateTime {
        DateTime(self.0.received_at)
    }

    /// The source from which sluice first received it.
    async fn first_received_via(&self) -> IngestSourceNode {
        self.0.first_source.into()
    }

    /// Every source from which it has arrived, the first one first.
    async fn received_via(&self, context: &Context<'_>) -> Result<Vec<IngestSourceNode>> {
        Ok(self.arrival(context).await?.received_via.into_iter().map(IngestSourceNode::from).collect())
    }
}
