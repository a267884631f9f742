import Discovery
import Glibc
import HTTPAPI
import SQLite
import Settings
import Telemetry
import Threads

// The one place that reads the command line and ends the process.

// Where one of these was closed by who started this, the next file or socket would take its number, and what is
// said would go there. The lowest free number is the one that is missing. Results and questions fail as before;
// standard error is inherited by plugins, which may write there.
for (descriptor, mode) in [
    (STDIN_FILENO, O_WRONLY), (STDOUT_FILENO, O_RDONLY), (STDERR_FILENO, O_RDWR),
] where fcntl(descriptor, F_GETFD) < 0 {
    _ = open("/dev/null", mode)
}

// Dates in SQL are UTC on every node, whatever the machine's zone; set before any thread starts.
setenv("TZ", "UTC", 1)
// What was freed goes back to the system, also where a thread that ended has left it.
ProcessMemory.boundWhatIsKept()
// A peer or a client that goes away is an error of that connection, not a signal.
signal(SIGPIPE, SIG_IGN)
// A file that may grow no further (ulimit -f) is a full disk, and no reason to end, least of all that of the log's lines.
signal(SIGXFSZ, SIG_IGN)
// What is written holds everybody's data: other users of the machine have no part in it, whatever the mask was.
umask(umask(0o077) | 0o007)

func workingDirectory() -> String {
    guard let path = getcwd(nil, 0) else { return "/" }
    defer { free(path) }
    return String(cString: path)
}

func say(_ text: String) {
    StandardErrorSink().write(Array((text + "\n").utf8))
}

Limits.checkRelations()
switch Invocation.parse(
    Array(CommandLine.arguments.dropFirst()), workingDirectory: workingDirectory())
{
case .version:
    say(Build.versionLine(sqlite: Engine.version))
case .servePlugin:
    let failure = PluginServer.run()
    if let failure { say(failure) }
    // At once: the plugin's threads may be anywhere.
    _exit(failure == nil ? 0 : 1)
case .discovery(let command):
    // At once: what a plugin still does is not worth waiting for.
    _exit(DiscoveryVerbs(command).run())
case .help(let text):
    say(text)
case .generated(let text):
    exit(StandardOutput.write(text) ? 0 : 1)
case .auth(let command):
    exit(AuthVerb(command).run())
case .apiDocument:
    exit(StandardOutput.write(APIDocument.text(version: Build.version)) ? 0 : 1)
case .secret:
    exit(AuthVerb.printSecret())
case .failure(let text, let code):
    say(text)
    exit(code)
case .recover(let command):
    exit(RecoverVerb(command).run())
case .restore(let command):
    // At once: the thread of one that was interrupted may be anywhere.
    _exit(RestoreVerb(command).run())
case .run(let settings):
    let logger = Logger(module: "rqlited", threshold: LogLevel(settings.raft.logLevel))
    let signals = TerminationSignals(takesHangup: Daemon.hasFilesToReload(settings))
    do {
        let watch = try StartWatch(signals, logger: logger)
        let daemon = try Daemon.start(settings, logger: logger)
        watch.end()
        daemon.announce()
        daemon.onFault { signals.raise(becauseOf: $0) }
        let reason = signals.wait(onHangup: daemon.reload)
        if let fault = reason.fault {
            logger.announce(fault)
            endProcess(1)
        }
        logger.announce("received signal \"\(reason.name)\"")
        signals.limitStop(logger)
        let isComplete = daemon.stop()
        logger.announce("rqlite server stopped")
        // Plugins were let go without waiting for them, and what hung was left behind.
        endProcess(isComplete ? 0 : 1)
    } catch {
        logger.announce("\(error)")
        endProcess(1)
    }
}
