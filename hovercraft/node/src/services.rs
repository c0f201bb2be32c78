//! Which services a program can run, and the program itself.

use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;
use std::rc::Rc;

use dataplane::udp::BufferSizes;
use hovercraft_config::{Cluster, Group, Resources};
use kv::Kv;
use r2p2::service::Service;
use synthetic::{Pace, Synthetic};
use tracing::{error, info, warn};

use crate::cli::{self, BackEnd, CliError, NodeArgs};
use crate::control::{self, Ended};
use crate::ffi::EndSignals;
use crate::node::{Node, StartError, Wire};
use crate::plan::{self, DpdkOptions, Plan, PlanError};
use crate::stepped::{AnyQueue, Attendant, StepError, Stepped};
use crate::threads::Started;
use crate::{doctor, logs, stepped, words};

/// Exit code when a node could not start or go on.
const FAILED: u8 = 1;
/// Exit code of a wrong command line or configuration.
pub(crate) const WRONG: u8 = 2;

/// Starts a node with one kind of service.
type Starter = Box<dyn Fn(Plan) -> Result<Node, StartError>>;

/// Makes one that is stepped.
type Stepper = Box<dyn Fn(Plan, [AnyQueue; 2]) -> Result<(Stepped, Attendant), StartError>>;

/// Services by the name that `service` has in cluster.ron.
#[derive(Default)]
pub struct Services {
    known: Vec<Known>,
}

/// One of them.
struct Known {
    name: &'static str,
    starter: Starter,
    stepper: Stepper,
}

impl Services {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// And this one: `make` gives an empty state for a group.
    #[must_use]
    pub fn with<S: Service + Send + 'static>(
        mut self,
        name: &'static str,
        make: impl Fn(&Group) -> S + 'static,
    ) -> Self {
        let make = Rc::new(make);
        let again = Rc::clone(&make);
        let starter = move |plan: Plan| {
            let service = make(&plan.group);
            Node::start(plan, service)
        };
        let stepper = move |plan: Plan, queues| {
            let service = again(&plan.group);
            stepped::start(plan, service, queues)
        };
        self.known.push(Known { name, starter: Box::new(starter), stepper: Box::new(stepper) });
        self
    }

    /// And those that come with HovercRaft: `kv` and `synthetic`.
    #[must_use]
    pub fn with_ours(self) -> Self {
        self.with("kv", |_| Kv::default()).with("synthetic", |_| Synthetic::new(Pace::measure()))
    }

    /// Makes a node of the plan's service, whose turns are the caller's to take. Packets are received and sent by its
    /// network half over the first of the queues, answers sent by its application half over the second.
    ///
    /// # Errors
    ///
    /// [`StepError`]: no such service here, or the admin address cannot be had.
    pub fn step(
        &self,
        plan: Plan,
        queues: [AnyQueue; 2],
    ) -> Result<(Stepped, Attendant), StepError> {
        let known = self.find(&plan.cluster, &plan.group)?;
        Ok((known.stepper)(plan, queues)?)
    }

    /// The group's service, if it is here.
    fn find(&self, cluster: &Cluster, group: &Group) -> Result<&Known, PlanError> {
        let found = self.known.iter().find(|known| known.name == group.service);
        found.ok_or_else(|| {
            let names: Vec<&str> = self.known.iter().map(|known| known.name).collect();
            PlanError::Service {
                file: cluster.file.display().to_string(),
                group: group.name.clone(),
                service: group.service.clone(),
                known: names.join(", "),
            }
        })
    }
}

/// Runs a node of a service of your own: reads the command line, serves until a signal ends it.
///
/// `name` is the program's and what `service` in cluster.ron must say.
pub fn run<S: Service + Send + 'static>(
    name: &'static str,
    make: impl Fn() -> S + 'static,
) -> ExitCode {
    main(name, &Services::new().with(name, move |_| make()))
}

/// Runs a node with the service that its configuration names among `services`.
#[must_use]
pub fn main(program: &'static str, services: &Services) -> ExitCode {
    let mut typed = std::env::args_os().skip(1).peekable();
    if typed.next_if(|word| word == "doctor").is_some() {
        return doctor::main(program, typed);
    }
    let (back_end, args) = match cli::parse(program, typed) {
        Ok(read) => read,
        Err(error) => return not_followed(&error),
    };
    if let Err(error) = logs::init(&args.log, args.log_json) {
        return refuse(&error);
    }
    let outcome = if args.check_config {
        check_config(services, &args)
    } else {
        plan(services, &args, back_end).map(|(starter, plan)| serve(starter, plan))
    };
    outcome.unwrap_or_else(|error| refuse(&error))
}

/// Prints the effective configuration, after a look at everything that a node would look at.
fn check_config(services: &Services, args: &NodeArgs) -> Result<ExitCode, PlanError> {
    let cluster = Cluster::load(&args.config)?;
    let mut warnings = plan::check(&cluster)?;
    for group in &cluster.groups {
        services.find(&cluster, group)?;
    }
    if args.id.is_some() || args.group.is_some() {
        warnings = Plan::new(cluster.clone(), args.group.as_deref(), args.id)?.warnings;
    }
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
    // Whoever reads this may have read enough.
    let _ = std::io::stdout().write_all(cluster.to_ron().as_bytes());
    Ok(ExitCode::SUCCESS)
}

/// What to start a node with, and what starts it.
fn plan<'a>(
    services: &'a Services,
    args: &NodeArgs,
    back_end: BackEnd,
) -> Result<(&'a Starter, Plan), PlanError> {
    let cluster = Cluster::load(&args.config)?;
    let plan = Plan::new(cluster, args.group.as_deref(), args.id)?;
    let known = services.find(&plan.cluster, &plan.group)?;
    let plan = match back_end {
        BackEnd::Udp => plan,
        BackEnd::Dpdk(eal) => {
            let pcap = args.pcap.clone().map(|file| (file, args.pcap_max.0));
            plan.on_dpdk(DpdkOptions { eal, port: args.port.clone(), pcap })
        }
    };
    Ok((&known.starter, plan))
}

/// Runs a node until it ends.
fn serve(starter: &Starter, plan: Plan) -> ExitCode {
    // Before any thread is started, so that all of them have the signals blocked.
    let signals = match EndSignals::block() {
        Ok(signals) => signals,
        Err(error) => return fail(&error),
    };
    for warning in &plan.warnings {
        warn!("{warning}");
    }
    if plan.dpdk.is_some() && !plan.group.node.cores.is_empty() {
        warn!(
            "`cores` of cluster.ron is for kernel UDP: with --dpdk the EAL's -l or --lcores names the threads' cores"
        );
    }
    tell_start(&plan);
    let wanted = plan.group.node.resources;
    let node = match starter(plan) {
        Ok(node) => node,
        Err(error) => return fail(&error),
    };
    match node.wire() {
        Wire::Udp(buffers) => tell_buffers(*buffers, &wanted),
        Wire::Dpdk(description) => info!("{description}"),
    }
    for Started { thread, core, idle } in node.started() {
        info!(thread, core, idle = words::idle(*idle), "thread runs");
    }
    match control::supervise(node, &signals) {
        Ended::Asked => ExitCode::SUCCESS,
        Ended::Broken => ExitCode::from(FAILED),
    }
}

fn tell_buffers(BufferSizes { receive, send }: BufferSizes, wanted: &Resources) {
    info!(receive, send, "socket buffers granted, in bytes");
    if receive < wanted.receive_buffer || send < wanted.send_buffer {
        warn!(
            wanted_receive = wanted.receive_buffer,
            wanted_send = wanted.send_buffer,
            "the kernel grants smaller socket buffers than configured: bursts may be dropped; raise net.core.rmem_max \
             and net.core.wmem_max, or run with CAP_NET_ADMIN"
        );
    }
}

/// The settings in brief.
pub(crate) fn tell_start(plan: &Plan) {
    let Plan { cluster, group, member, .. } = plan;
    let node = &group.node;
    info!(
        version = env!("CARGO_PKG_VERSION"),
        config = %cluster.file.display(),
        cluster = cluster.name,
        group = group.name,
        id = member.id.number(),
        incarnation = format_args!("{:016x}", plan.incarnation()),
        mode = words::mode(group.mode),
        service = group.service,
        data = %member.data,
        multicast = group.multicast.map(tracing::field::display),
        admin = %member.admin,
        members = group.members.len(),
        threads = words::threads(node.threads),
        idle = words::idle(node.idle),
        cores = ?node.cores,
        key = cluster.key_file.is_some(),
        audit = node.audit,
        "node starts"
    );
}

/// A command line that says nothing to do: it is wrong, or asks for help or the version.
pub(crate) fn not_followed(error: &CliError) -> ExitCode {
    match error {
        CliError::Node(error) => shown(error),
        error => refuse(error),
    }
}

/// What clap has to say: that something is wrong, help, or the version.
pub(crate) fn shown(error: &clap::Error) -> ExitCode {
    // Help that nobody reads any more.
    let _ = error.print();
    if error.use_stderr() { ExitCode::from(WRONG) } else { ExitCode::SUCCESS }
}

/// A wrong command line or configuration.
pub(crate) fn refuse(error: &dyn Error) -> ExitCode {
    eprintln!("{error}");
    ExitCode::from(WRONG)
}

pub(crate) fn fail(error: &dyn Error) -> ExitCode {
    error!("{error}");
    ExitCode::from(FAILED)
}
