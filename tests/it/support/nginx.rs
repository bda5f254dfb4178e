//! A proxy that does the login: Debian's nginx, with its configuration in a temporary folder.

use super::prometheus::free_address;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const INSTALL: &str = "install the Debian package nginx-light";

/// A running nginx. It ends when it is dropped, or with the test.
pub(crate) struct Nginx {
    child: Child,
    /// `http://127.0.0.1:PORT`
    pub(crate) url: String,
    _folder: tempfile::TempDir,
}

impl Nginx {
    /// Stands in front of a server: it lets in the user alice with the password `wonder-and-land` and hands the requests
    /// on, with these lines about their headers; `$groups` is `team-a-engineers`.
    pub(crate) fn before(server: &str, lines: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("runwright-nginx-").tempdir().expect("a folder");
        let path = folder.path().display();
        std::fs::write(folder.path().join("users"), "alice:{PLAIN}wonder-and-land\n").expect("a file");
        let address = free_address();
        let configuration = format!(
            "daemon off; master_process off; pid {path}/pid; error_log {path}/error.log;\n\
             events {{}}\n\
             http {{\n\
               access_log off; client_body_temp_path {path}/b; proxy_temp_path {path}/p; fastcgi_temp_path {path}/f;\n\
               uwsgi_temp_path {path}/u; scgi_temp_path {path}/s;\n\
               map $remote_user $groups {{ alice team-a-engineers; default \"\"; }}\n\
               server {{\n\
                 listen {address}; auth_basic catalog; auth_basic_user_file {path}/users;\n\
                 location / {{ proxy_pass {server}; {lines} }}\n\
               }}\n\
             }}\n"
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, configuration).expect("a file");
        let mut nginx = Command::new("setpriv");
        nginx.args(["--pdeathsig", "KILL", "/usr/sbin/nginx", "-e", &format!("{path}/error.log"), "-c"]).arg(&file);
        nginx.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = nginx.spawn().unwrap_or_else(|why| panic!("nginx does not start ({why}): {INSTALL}"));
        let mut own = Self { child, url: format!("http://{address}"), _folder: folder };
        let end = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(address).is_err() {
            let over = own.child.try_wait().expect("its state");
            assert!(over.is_none() && Instant::now() < end, "nginx does not listen ({over:?}): {INSTALL}");
            std::thread::sleep(Duration::from_millis(20));
        }
        own
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
