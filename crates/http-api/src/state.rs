//! The state that handlers and middleware share. Adapters and use cases are joined here.

use std::sync::Arc;

use actix_web::web::{Data, ServiceConfig};
use domain::{
    ApontamentoRepository, Apontamentos, AtividadeRepository, Atividades, Clock, Credential, Escritas,
    IdentityProvider, ProjectDirectory, ProjetoRepository, Projetos, RateLimit, Readiness, SharedRates, Timesheets,
    WorkItemDirectory, WorkItems, WriteBackQueue,
};

use crate::limits::in_flight::InFlight;
use crate::limits::person_rates::PersonRates;
use crate::limits::project_lists::ReservedLists;
use crate::limits::searches::Searches;
use crate::middleware::client_address::TrustedProxies;
use crate::middleware::failed_sign_ins::FailedSignIns;
use crate::middleware::http_observability::HttpObservability;
use crate::middleware::origin_pattern::OriginPattern;
use crate::middleware::rejected_origins::RejectedOrigins;
use crate::observability::ServerErrorObserver;
use crate::observability::metrics::Metrics;
use crate::observability::readiness::{CachedReadiness, LastCheck};
use crate::root_path::RootPath;

/// The ports of the domain, as adapters implement them.
pub struct Ports {
    /// The repository of time entries.
    pub apontamentos: Arc<dyn ApontamentoRepository>,
    /// The repository of atividades.
    pub atividades: Arc<dyn AtividadeRepository>,
    /// The repository of projetos.
    pub projetos: Arc<dyn ProjetoRepository>,
    /// The health of the database.
    pub readiness: Arc<dyn Readiness>,
    /// Validates credentials.
    pub identity: Arc<dyn IdentityProvider>,
    /// The projects of the organisation.
    pub directory: Arc<dyn ProjectDirectory>,
    /// The work items of the organisation.
    pub work_items: Arc<dyn WorkItemDirectory>,
    /// The work items whose hours are to be written; `None` in a deployment that does not write them.
    pub write_back: Option<Arc<dyn WriteBackQueue>>,
    /// The name of the organisation, if one is configured.
    pub organizacao: Option<String>,
    /// The credential for calls to Azure DevOps if authentication is off.
    pub service_credential: Option<Credential>,
    /// The current time.
    pub clock: Arc<dyn Clock>,
}

/// Version and environment of the service.
#[derive(Debug, Clone, Copy)]
pub struct ServiceInfo {
    /// The version of this build.
    pub version: &'static str,
    /// `development` or `production`.
    pub environment: &'static str,
}

impl ServiceInfo {
    /// Returns the version of this build with `environment`.
    #[must_use]
    pub const fn new(environment: &'static str) -> Self {
        Self { version: env!("CARGO_PKG_VERSION"), environment }
    }
}

/// The use cases and ports of one worker.
#[derive(Clone)]
struct UseCases {
    apontamentos: Data<Apontamentos>,
    atividades: Data<Atividades>,
    projetos: Data<Projetos>,
    timesheets: Data<Timesheets>,
    work_items: Data<WorkItems>,
    escritas: Data<Escritas>,
    readiness: Data<CachedReadiness>,
    identity: Data<dyn IdentityProvider>,
}

impl UseCases {
    fn new(ports: Ports, last_check: LastCheck, in_flight: &InFlight) -> Self {
        let Ports {
            apontamentos,
            atividades,
            projetos,
            readiness,
            identity,
            directory,
            work_items,
            write_back,
            organizacao,
            service_credential,
            clock,
        } = ports;
        let timesheets = Timesheets::new(
            apontamentos.clone(),
            projetos.clone(),
            work_items.clone(),
            organizacao.clone(),
            clock.clone(),
        );
        let imports: Arc<dyn ProjectDirectory> = Arc::new(ReservedLists::new(directory.clone(), in_flight.clone()));
        let apontamentos = Apontamentos::new(
            apontamentos,
            projetos.clone(),
            imports.clone(),
            work_items.clone(),
            organizacao.clone(),
            clock.clone(),
        );
        Self {
            apontamentos: Data::new(apontamentos),
            atividades: Data::new(Atividades::new(atividades, projetos.clone(), imports, clock.clone())),
            timesheets: Data::new(timesheets),
            escritas: Data::new(Escritas::new(write_back, clock.clone())),
            work_items: Data::new(WorkItems::new(work_items, projetos.clone(), organizacao)),
            projetos: Data::new(Projetos::new(projetos, directory, service_credential, clock)),
            readiness: Data::new(CachedReadiness::new(readiness, last_check)),
            identity: Data::from(identity),
        }
    }
}

/// The application state. A clone shares it.
#[derive(Clone)]
pub struct AppState {
    use_cases: UseCases,
    last_check: LastCheck,
    info: Data<ServiceInfo>,
    root_path: Data<RootPath>,
    cors_origins: Data<[OriginPattern]>,
    rejected_origins: Data<RejectedOrigins>,
    is_loopback_only: bool,
    failed_sign_ins: Data<FailedSignIns>,
    person_rates: Option<Data<PersonRates>>,
    observability: Data<HttpObservability>,
    in_flight: Data<InFlight>,
    searches: Data<Searches>,
}

impl AppState {
    /// Returns the state over `ports`. Pages of `cors_origins` may call the API.
    #[must_use]
    pub fn new(ports: Ports, info: ServiceInfo, cors_origins: Vec<OriginPattern>) -> Self {
        let last_check = LastCheck::default();
        let in_flight = InFlight::default();
        let metrics = Metrics::new(&in_flight);
        Self {
            use_cases: UseCases::new(ports, last_check.clone(), &in_flight),
            last_check,
            info: Data::new(info),
            root_path: Data::new(RootPath::default()),
            cors_origins: Data::from(Arc::<[OriginPattern]>::from(cors_origins)),
            rejected_origins: Data::new(RejectedOrigins::default()),
            is_loopback_only: false,
            failed_sign_ins: Data::new(FailedSignIns::new()),
            observability: Data::new(HttpObservability {
                metrics,
                proxies: TrustedProxies::default(),
                server_errors: None,
            }),
            person_rates: None,
            in_flight: Data::new(in_flight),
            searches: Data::new(Searches::default()),
        }
    }

    /// Replaces the ports, for a worker with its own. Limits, metrics and the readiness result stay shared.
    #[must_use]
    pub fn with_ports(&self, ports: Ports) -> Self {
        Self { use_cases: UseCases::new(ports, self.last_check.clone(), &self.in_flight), ..self.clone() }
    }

    /// Sets the proxies whose `X-Forwarded-For` is honoured.
    #[must_use]
    pub fn with_trusted_proxies(self, proxies: TrustedProxies) -> Self {
        let observability = HttpObservability { proxies, ..HttpObservability::clone(&self.observability) };
        Self { observability: Data::new(observability), ..self }
    }

    /// Sets the observer of responses 500.
    #[must_use]
    pub fn with_server_errors(self, observer: ServerErrorObserver) -> Self {
        let server_errors = Some(observer);
        let observability = HttpObservability { server_errors, ..HttpObservability::clone(&self.observability) };
        Self { observability: Data::new(observability), ..self }
    }

    /// Sets the path prefix of the addresses in responses.
    #[must_use]
    pub fn with_root_path(self, root_path: RootPath) -> Self {
        Self { root_path: Data::new(root_path), ..self }
    }

    /// Limits the requests of each authenticated person. Replicas with the same `shared` memory count them together.
    #[must_use]
    pub fn with_rate_per_person(self, limit: RateLimit, shared: Option<Arc<dyn SharedRates>>) -> Self {
        Self { person_rates: Some(Data::new(PersonRates::new(limit, shared))), ..self }
    }

    /// Restricts the API to clients and pages of this machine, for a service without authentication.
    #[must_use]
    pub fn loopback_only(self) -> Self {
        Self { is_loopback_only: true, ..self }
    }

    /// Returns the HTTP metrics.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.observability.metrics
    }

    /// Returns the use cases of time entries.
    #[must_use]
    pub fn apontamentos(&self) -> &Apontamentos {
        &self.use_cases.apontamentos
    }

    /// Returns the use cases of atividades.
    #[must_use]
    pub fn atividades(&self) -> &Atividades {
        &self.use_cases.atividades
    }

    /// Returns the use cases of projetos.
    #[must_use]
    pub fn projetos(&self) -> &Projetos {
        &self.use_cases.projetos
    }

    /// Returns the origins whose pages may call the API.
    pub(crate) fn cors_origins(&self) -> Arc<[OriginPattern]> {
        self.cors_origins.clone().into_inner()
    }

    /// Returns whether only clients and pages of this machine are served.
    pub(crate) const fn is_loopback_only(&self) -> bool {
        self.is_loopback_only
    }

    /// Makes the state available to handlers and middleware.
    pub(crate) fn configure(&self, config: &mut ServiceConfig) {
        let UseCases { apontamentos, atividades, projetos, timesheets, work_items, escritas, readiness, identity } =
            self.use_cases.clone();
        config
            .app_data(apontamentos)
            .app_data(atividades)
            .app_data(projetos)
            .app_data(timesheets)
            .app_data(work_items)
            .app_data(escritas)
            .app_data(readiness)
            .app_data(identity)
            .app_data(self.info.clone())
            .app_data(self.root_path.clone())
            .app_data(self.failed_sign_ins.clone())
            .app_data(self.observability.clone())
            .app_data(self.cors_origins.clone())
            .app_data(self.rejected_origins.clone())
            .app_data(self.in_flight.clone())
            .app_data(self.searches.clone());
        if let Some(rates) = &self.person_rates {
            config.app_data(rates.clone());
        }
    }
}
