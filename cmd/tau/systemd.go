package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/taucloud/tau/cmd/tau/shape"
	"github.com/taucloud/tau/services/monkey/monkeyapi"
	"github.com/taucloud/tau/services/substrate/substrateapi"
)

// unit is that of one node: what it needs, and nothing else of the machine.
const unit = `[Unit]
Description=tau node %[1]s
Wants=network-online.target
After=network-online.target time-sync.target

[Service]
Type=notify
ExecReload=/bin/kill -HUP $MAINPID
ExecStart=%[2]s start -s %[1]s --root %[3]s
SuccessExitStatus=%[5]d
RestartPreventExitStatus=%[5]d
User=%[4]s
Restart=always
RestartSec=2
TimeoutStartSec=infinity
TimeoutStopSec=45
LimitNOFILE=65536
UMask=0077

ReadWritePaths=%[3]s
ProtectSystem=strict
ProtectHome=true
PrivateTmp=true
PrivateDevices=true
ProtectClock=true
ProtectHostname=true
ProtectKernelLogs=true
ProtectKernelModules=true
ProtectKernelTunables=true
ProtectControlGroups=true
ProtectProc=invisible
NoNewPrivileges=true
CapabilityBoundingSet=
AmbientCapabilities=
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=true
RestrictRealtime=true
RestrictSUIDSGID=true
LockPersonality=true
MemoryDenyWriteExecute=true
RemoveIPC=true
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
`

func systemdCommand() *cobra.Command {
	var w where
	var user string
	cmd := &cobra.Command{
		Use: "systemd", Args: cobra.NoArgs, Short: "Print a unit for systemd that runs the node with as few rights as it needs",
		Example: "  tau config systemd -s compute --root /tb --user tau > /etc/systemd/system/tau-compute.service",
	}
	w.flags(cmd)
	cmd.Flags().StringVar(&user, "user", "tau", "the user that runs it, who owns the root directory")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		root, err := filepath.Abs(w.root)
		if err != nil {
			return err
		}
		self, err := os.Executable()
		if err != nil {
			return failure{err}
		}
		var services []string
		if s, err := shape.Load(shape.PathsOf(w.root, w.shape).Config); err == nil {
			services = s.Services
		} else {
			fmt.Fprintf(cmd.ErrOrStderr(), "tau: the configuration of %s cannot be read, so the unit is that of a node that neither builds nor serves functions\n", w.shape)
		}
		_, err = fmt.Fprint(cmd.OutOrStdout(), unitFor(services, fmt.Sprintf(unit, w.shape, unitWord(self), unitWord(root), user, exitLeft)))
		return err
	}
	return cmd
}

// compiles are what keeps code from being made and run, which services that run WebAssembly, and compilers, do.
var compiles = []string{"MemoryDenyWriteExecute=true"}

// builds are what a node that builds cannot have: its sandbox makes namespaces, with a /proc of its own, and control groups, and has limits and a
// filter of system calls itself.
var builds = []string{
	"PrivateDevices=true", "ProtectHostname=true", "ProtectKernelLogs=true", "ProtectKernelTunables=true", "ProtectControlGroups=true", "ProtectProc=invisible", "RestrictNamespaces=true", "RestrictSUIDSGID=true", "SystemCallFilter=@system-service",
	"SystemCallFilter=~@privileged @resources", "SystemCallErrorNumber=EPERM",
}

// unitFor is a unit as the services of the node can live with it.
func unitFor(services []string, text string) string {
	without := map[string]bool{}
	leave := func(lines []string) {
		for _, line := range lines {
			without[line] = true
		}
	}
	if slices.Contains(services, substrateapi.Service) || slices.Contains(services, monkeyapi.Service) {
		leave(compiles)
	}
	if slices.Contains(services, monkeyapi.Service) {
		leave(builds)
		text = strings.Replace(text, "UMask=0077\n", "UMask=0077\nDelegate=yes\n", 1)
	}
	var out strings.Builder
	for line := range strings.Lines(text) {
		if !without[strings.TrimSpace(line)] {
			out.WriteString(line)
		}
	}
	return out.String()
}

// unitWord is a path as one word of a unit, where % begins a specifier, and blanks end a word: systemd.syntax(7).
func unitWord(path string) string {
	path = strings.ReplaceAll(path, "%", "%%")
	if !strings.ContainsAny(path, " \t\"'\\") {
		return path
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\t", `\t`).Replace(path) + `"`
}
