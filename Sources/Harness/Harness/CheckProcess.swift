import CHarness
import Glibc
import JSON
import Synchronization

/// The harness in a child's role: makes one check and tells what it found.
///
///     descriptor 0  /dev/null
///     descriptor 1  whatever the plugin writes to standard output; 2 likewise
///     descriptor 3  the job comes in, the verdict goes out; a line of JSON each
///     descriptor 4  to the fake server, if there is one; see `BackendLine`
package enum CheckProcess {
    package static let verb = "--check-process"

    static let jobDescriptor: Int32 = 3
    static let serverDescriptor: Int32 = 4

    /// Never returns.
    package static func run() -> Never {
        charness_die_with_parent()
        for descriptor in [jobDescriptor, serverDescriptor] {
            _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        }
        charness_close_from(serverDescriptor + 1)
        // As in the host.
        signal(SIGPIPE, SIG_IGN)
        let line = MessageLine(jobDescriptor)
        guard let message = line.receive(), let job = Job(message),
            let check = CheckCatalog.find(job.check)
        else { charness_exit(70) }
        Bench.slowness.store(UInt64(max(job.slowness, 1)), ordering: .relaxed)
        let verdict = perform(check, job)
        let isSent = line.send(verdict.json)
        if check.needs.contains(.exit), isSent { exit(0) }
        // Not `exit`: the plugin's own endings have had their chance in `destroy`.
        charness_exit(isSent ? 0 : 71)
    }

    private static func perform(_ check: Check, _ job: Job) -> Verdict {
        do throws(Finding) {
            let manifest = try manifest(job)
            CallActivity.begin(in: job.directory)
            let server = job.hasFakeServer ? ServerControl(descriptor: serverDescriptor) : nil
            let bench = try Bench(job, manifest: manifest, server: server)
            defer { bench.tidy() }
            try check.body(bench)
            return .passed
        } catch {
            return error.verdict
        }
    }

    private static func manifest(_ job: Job) throws(Finding) -> Manifest {
        guard !job.manifest.isEmpty else { return Manifest() }
        guard let text = TextFile.readBytes(job.manifest, limit: Manifest.sizeLimit) else {
            throw .skipped("the manifest \(job.manifest) can't be read")
        }
        do {
            return try Manifest(parsing: text, mode: job.mode)
        } catch {
            throw .skipped("the manifest \(job.manifest): \(error)")
        }
    }
}
