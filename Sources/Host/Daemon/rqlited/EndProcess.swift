import Glibc
import Telemetry

/// Ends the process at once, when what it said has been written or has had its time: `exit` would put away
/// libraries in which threads are at work.
func endProcess(_ status: Int32) -> Never {
    LossySink.standardError.finish()
    _exit(status)
}
