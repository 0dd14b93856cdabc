//! A network of its own for one test: with addresses of both families, or of one alone.
//!
//! Takes: root, by itself or by `sudo` without a question. Gives: the test run again by a process in a network
//! namespace (Linux, network_namespaces(7)), with all that it starts. Does not: reach anything outside, nor leave
//! anything: the namespace ends with its last process.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    process::Command,
};

/// Set for the process inside.
const INSIDE: &str = "TEST_NETWORK";

/// Addresses of a pod, from the networks for documentation (RFC 5737, RFC 3849).
const V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
const V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10);

/// Both addresses, at the one device that every kernel has. The kernel makes the route of one of IPv6 a moment later;
/// until then what is sent there comes back as unreachable.
const SET_UP: &str = "set -e; PATH=$PATH:/usr/sbin:/sbin; ip link set lo up
ip address add 192.0.2.10/32 dev lo; ip address add 2001:db8::10/128 dev lo nodad
until ip -6 route get 2001:db8::10 | grep -q ^local && ip -6 route get ::1 | grep -q ^local; do :; done";
const NO_V6: &str = "for name in all default lo; do echo 1 >/proc/sys/net/ipv6/conf/$name/disable_ipv6; done";
const NO_V4: &str = "ip -4 address flush dev lo";
const NO_V4_BUT_LOCAL: &str = "ip address delete 192.0.2.10/32 dev lo";
const SEPARATE: &str = "echo 1 >/proc/sys/net/ipv6/bindv6only";
/// Becomes the program of its arguments, to which `socket(AF_INET6, ..)` is refused with EAFNOSUPPORT, as a kernel
/// without IPv6 does it (seccomp(2), with the filter of bpf(4): number of the call, first argument).
const NO_FAMILY: &str = r#"import ctypes, os, struct, sys
call, AF_INET6, EAFNOSUPPORT = int(sys.argv[1]), 10, 97
steps = [(0x20, 0, 0, 0), (0x15, 0, 3, call), (0x20, 0, 0, 16), (0x15, 0, 1, AF_INET6),
         (0x06, 0, 0, 0x50000 | EAFNOSUPPORT), (0x06, 0, 0, 0x7fff0000)]
steps = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps), 8 * len(steps))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps) // 8, ctypes.addressof(steps)))
for option, *arguments in [(38, 1, 0), (22, 2, ctypes.addressof(program))]:
    arguments = [ctypes.c_ulong(argument) for argument in [*arguments, 0, 0][:4]]
    assert ctypes.CDLL(None).prctl(option, *arguments) == 0, "the kernel takes no filter"
os.execvp(sys.argv[2], sys.argv[2:])"#;
/// Number of `socket` (Linux, syscall tables).
const SOCKET: &str = if cfg!(target_arch = "x86_64") { "41" } else { "198" };

/// What a machine's network is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// IPv4 and IPv6.
    Both,
    /// The same, and a listener on `[::]` is for IPv6 alone unless it says otherwise (`net.ipv6.bindv6only`).
    Separate,
    /// IPv4 alone: IPv6 is turned off (`disable_ipv6`).
    V4,
    /// IPv4 alone: the kernel knows no IPv6 (`ipv6.disable=1`).
    NoFamily,
    /// IPv6 alone, as a pod of such a cluster has it: 127.0.0.1 is there, inside the pod.
    V6,
    /// No address of IPv4, not even 127.0.0.1.
    OnlyV6,
}

impl Network {
    /// Addresses at which a program that listens at every address is reached from outside, one of each family.
    pub fn addresses(self) -> Vec<IpAddr> {
        match self {
            Self::Both | Self::Separate => vec![V4.into(), V6.into()],
            Self::V4 | Self::NoFamily => vec![V4.into()],
            Self::V6 | Self::OnlyV6 => vec![V6.into()],
        }
    }

    /// Runs `test` in such a network. `name` is that of the test that calls, as `--list` shows it: it is run again, by
    /// a process inside.
    ///
    /// # Panics
    ///
    /// With what the test printed, when it fails; with the fix, when there is neither root nor `sudo`.
    pub fn run(self, name: &str, test: impl FnOnce()) {
        if std::env::var_os(INSIDE).is_some() {
            return test();
        }
        let output = self.inside(name).output().expect("`unshare` and `ip` run; install them with `make setup`");
        let text = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        let passed = output.status.success() && text.contains("1 passed");
        assert!(passed, "in the network {self:?} (root, or sudo without a password, is needed), test {name}:\n{text}");
    }

    fn inside(self, name: &str) -> Command {
        let set_up = match self {
            Self::Both => "",
            Self::Separate => SEPARATE,
            Self::V4 | Self::NoFamily => NO_V6,
            Self::V6 => NO_V4_BUT_LOCAL,
            Self::OnlyV6 => NO_V4,
        };
        let script = format!("{SET_UP}\n{set_up}\nexec \"$@\"");
        let mut command = if rustix::process::geteuid().is_root() {
            Command::new("unshare")
        } else {
            let mut command = Command::new("sudo");
            command.args(["-n", "-E", "unshare"]);
            command
        };
        command.args(["--net", "--", "env"]).arg(format!("{INSIDE}={self:?}")).args(["sh", "-c", &script, "sh"]);
        if self == Self::NoFamily {
            command.args(["/usr/bin/python3", "-c", NO_FAMILY, SOCKET]);
        }
        command.arg(std::env::current_exe().expect("a test is a file")).args(["--exact", name, "--nocapture"]);
        command
    }
}
