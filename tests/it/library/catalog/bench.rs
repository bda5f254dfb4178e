//! A catalog-server, and the library with its inputs pointing there.

use crate::library::shelf::{Ran, Shelf};
use crate::support::{CATALOG_PASSWORD, Catalog, CatalogPlan};

pub(crate) struct Bench {
    pub(crate) shelf: Shelf,
    pub(crate) catalog: Catalog,
}

impl Bench {
    /// Three pods that serve two tenants.
    pub(crate) fn start() -> Self {
        Self::of(Catalog::start())
    }

    /// Installed like this.
    pub(crate) fn with(plan: &CatalogPlan) -> Self {
        Self::of(Catalog::with(plan))
    }

    /// Around a server.
    pub(crate) fn of(catalog: Catalog) -> Self {
        let shelf = Shelf::new();
        let backups = shelf.sandbox.path("backups");
        std::fs::create_dir(&backups).expect("a folder");
        let database = catalog.database.cluster;
        shelf
            .set("catalog_url", catalog.url())
            .set("catalog_operator", "ops-admin")
            .set("catalog_namespace", "team-a")
            .set("catalog_kube_context", "prod")
            .set("catalog_kubeconfig", catalog.kubernetes.kubeconfig().display().to_string())
            .set("catalog_kube_namespace", "catalog-system")
            .set("catalog_deployment", "catalog-server")
            .set("catalog_db_host", "localhost")
            .set("catalog_db_port", u64::from(database.port))
            .set("catalog_db_name", catalog.database.name.as_str())
            .set("catalog_db_role", catalog.role.as_str())
            .set("catalog_db_password", CATALOG_PASSWORD)
            .set("catalog_backups", backups.display().to_string());
        Self { shelf, catalog }
    }

    /// Runs a runbook in the environment `simulator`.
    pub(crate) fn run(&self, runbook: &str, answers: &str, more: &[&str]) -> Ran {
        self.shelf.run(runbook, answers, more)
    }
}
