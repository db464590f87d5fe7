//! The one place where adapters meet use cases, and where the routes meet their middleware.

use std::sync::Arc;

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::{Condition, NormalizePath, from_fn};
use actix_web::web::{Data, scope};
use actix_web::{Error, HttpResponse};
use domain::{
    AtividadeRepository, Atividades, Clock, Credential, IdentityProvider, ProjectDirectory, ProjetoRepository,
    Projetos, Readiness,
};

use crate::limits::in_flight::InFlight;
use crate::limits::searches::Searches;
use crate::middleware::OriginPattern;
use crate::middleware::TrustedProxies;
use crate::middleware::{FailedSignIns, Watch};
use crate::observability::metrics::Metrics;
use crate::observability::readiness::{CachedReadiness, LastCheck};
use crate::openapi;
use crate::{docs, middleware, routes};

/// What adapters bring: the outside world, as the domain asks for it.
pub struct Ports {
    /// Where atividades are kept.
    pub atividades: Arc<dyn AtividadeRepository>,
    /// Where projetos are kept.
    pub projetos: Arc<dyn ProjetoRepository>,
    /// Whether the database answers.
    pub readiness: Arc<dyn Readiness>,
    /// Who tells whose a credential is.
    pub identity: Arc<dyn IdentityProvider>,
    /// The organisation's projects.
    pub directory: Arc<dyn ProjectDirectory>,
    /// What stands in for the caller's credential where nobody is asked for one.
    pub service_credential: Option<Credential>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

/// What the service says of itself.
#[derive(Debug, Clone, Copy)]
pub struct ServiceInfo {
    /// The version of this build.
    pub version: &'static str,
    /// `development` or `production`.
    pub environment: &'static str,
}

impl ServiceInfo {
    /// This build, in `environment`.
    #[must_use]
    pub const fn new(environment: &'static str) -> Self {
        Self { version: env!("CARGO_PKG_VERSION"), environment }
    }
}

/// All that handlers need; every worker has the same.
#[derive(Clone)]
pub struct AppState {
    atividades: Data<Atividades>,
    projetos: Data<Projetos>,
    readiness: Data<CachedReadiness>,
    last_check: LastCheck,
    identity: Data<dyn IdentityProvider>,
    info: Data<ServiceInfo>,
    cors_origins: Data<[OriginPattern]>,
    is_loopback_only: bool,
    failed_sign_ins: Data<FailedSignIns>,
    watch: Data<Watch>,
    in_flight: Data<InFlight>,
    searches: Data<Searches>,
}

impl AppState {
    /// The use cases over `ports`, callable from pages of `cors_origins`.
    #[must_use]
    pub fn new(ports: Ports, info: ServiceInfo, cors_origins: Vec<OriginPattern>) -> Self {
        let Ports { atividades, projetos, readiness, identity, directory, service_credential, clock } = ports;
        let last_check = LastCheck::default();
        let in_flight = InFlight::default();
        let metrics = Metrics::new(&in_flight);
        Self {
            atividades: Data::new(Atividades::new(atividades, projetos.clone(), directory.clone(), clock.clone())),
            projetos: Data::new(Projetos::new(projetos, directory, service_credential, clock)),
            readiness: Data::new(CachedReadiness::new(readiness, last_check.clone())),
            last_check,
            identity: Data::from(identity),
            info: Data::new(info),
            cors_origins: Data::from(Arc::<[OriginPattern]>::from(cors_origins)),
            is_loopback_only: false,
            failed_sign_ins: Data::new(FailedSignIns::new()),
            watch: Data::new(Watch { metrics, proxies: TrustedProxies::default() }),
            in_flight: Data::new(in_flight),
            searches: Data::new(Searches::default()),
        }
    }

    /// The same over other ports, for a worker with ports of its own. Its readiness is that of the process.
    #[must_use]
    pub fn over(&self, ports: Ports) -> Self {
        let Ports { atividades, projetos, readiness, identity, directory, service_credential, clock } = ports;
        Self {
            atividades: Data::new(Atividades::new(atividades, projetos.clone(), directory.clone(), clock.clone())),
            projetos: Data::new(Projetos::new(projetos, directory, service_credential, clock)),
            readiness: Data::new(CachedReadiness::new(readiness, self.last_check.clone())),
            identity: Data::from(identity),
            ..self.clone()
        }
    }

    /// The same, behind proxies that tell whose requests they pass on.
    #[must_use]
    pub fn behind(self, proxies: TrustedProxies) -> Self {
        Self { watch: Data::new(Watch { metrics: self.metrics().clone(), proxies }), ..self }
    }

    /// The same where authentication is off: only for clients and pages of this machine.
    #[must_use]
    pub fn loopback_only(self) -> Self {
        Self { is_loopback_only: true, ..self }
    }

    /// What is counted.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.watch.metrics
    }

    /// The use cases of atividades.
    #[must_use]
    pub fn atividades(&self) -> &Atividades {
        &self.atividades
    }

    /// The use cases of projetos.
    #[must_use]
    pub fn projetos(&self) -> &Projetos {
        &self.projetos
    }
}

/// The application of one worker.
#[must_use]
pub fn app(
    state: &AppState,
) -> actix_web::App<
    impl ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse<BoxBody>, Error = Error, InitError = ()>
    + use<>,
> {
    actix_web::App::new()
        .app_data(state.atividades.clone())
        .app_data(state.projetos.clone())
        .app_data(state.readiness.clone())
        .app_data(state.identity.clone())
        .app_data(state.info.clone())
        .app_data(state.failed_sign_ins.clone())
        .app_data(state.watch.clone())
        .app_data(state.cors_origins.clone())
        .app_data(state.in_flight.clone())
        .app_data(state.searches.clone())
        // The last one wrapped is the first to see a request.
        .wrap(NormalizePath::trim())
        .wrap(from_fn(middleware::guard))
        .wrap(Condition::new(!state.cors_origins.is_empty(), middleware::cors(state.cors_origins.clone().into_inner())))
        .wrap(Condition::new(state.is_loopback_only, from_fn(middleware::loopback_only)))
        .wrap(from_fn(middleware::around))
        .wrap(from_fn(middleware::compress))
        .configure(routes::service::routes)
        .service(
            scope("/api/v1")
                .wrap(from_fn(middleware::admit))
                .wrap(from_fn(middleware::authenticate))
                .configure(routes::api),
        )
        .configure(openapi::routes)
        .configure(docs::configure)
        .default_service(actix_web::web::to(HttpResponse::NotFound))
}
