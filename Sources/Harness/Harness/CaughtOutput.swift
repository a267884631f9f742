import Glibc

/// What a plugin writes to standard output and error while something is done: in place of both
/// stands a file.
enum CaughtOutput {
    static func during(
        _ bench: Bench, _ body: () throws(Finding) -> Void
    ) throws(Finding) -> String {
        fflush(nil)
        let path = "\(bench.job.directory)/output"
        let file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0o600)
        let saved = [Int32(1), 2].map { fcntl($0, F_DUPFD_CLOEXEC, 16) }
        guard file >= 0, dup2(file, 1) == 1, dup2(file, 2) == 2 else {
            throw .skipped("output can't be caught: \(String(cString: strerror(errno)))")
        }
        var finding: Finding?
        do throws(Finding) { try body() } catch { finding = error }
        fflush(nil)
        dup2(saved[0], 1)
        dup2(saved[1], 2)
        for descriptor in saved + [file] { close(descriptor) }
        if let finding { throw finding }
        return TextFile.read(path, limit: 1 << 20) ?? "over 1 MiB"
    }
}
