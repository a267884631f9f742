import Discovery
import Glibc
import PluginABI

/// The file, before any of its code runs.
enum FileChecks {
    static let all: [Check] = [
        Check("file.elf", "It is a shared object for this machine.", rule: Rule.note, isObject),
        Check(
            "file.name", "Its name is one that the host looks for in directories.",
            rule: Rule.loader, isNamed),
        Check(
            "file.trust", "None but its owner can change it.", rule: Rule.loader, isTrusted),
        Check(
            "file.entry", "It exports rqlite_disco_entry.", rule: Rule.entry, hasEntry),
        Check(
            "file.one-symbol", "It exports nothing else.", rule: Rule.manners, hasOneSymbol),
        Check(
            "file.loads", "It loads with every symbol resolved.", rule: Rule.lifecycle,
            needs: .direct, loads),
        Check(
            "file.quiet", "Loading it and calling its entry starts no thread and opens nothing.",
            rule: Rule.entry, needs: .direct, loadsQuietly),
        Check(
            "file.host", "The host takes it for a plugin and finds its mode.",
            rule: Rule.loader, isFound),
    ]

    @Sendable private static func isObject(_ bench: Bench) throws(Finding) {
        let image = try bench.image()
        guard image.type == 3, image.machine == ELFImage.ownMachine else {
            throw .failed(
                expected: "ELF type 3, machine \(ELFImage.ownMachine)",
                seen: "type \(image.type), machine \(image.machine)")
        }
    }

    @Sendable private static func isNamed(_ bench: Bench) throws(Finding) {
        let name = bench.job.plugin.split(separator: "/").last.map(String.init) ?? ""
        guard name.hasSuffix(".so"), name.dropLast(3).contains("rqlite-disco-") else {
            throw .failed(
                expected: "a name like librqlite-disco-MODE.so",
                seen: "\(name), which is found only if -disco-mode names its path")
        }
    }

    @Sendable private static func isTrusted(_ bench: Bench) throws(Finding) {
        var status = stat()
        guard stat(bench.job.plugin, &status) == 0 else {
            throw .skipped("\(bench.job.plugin): \(String(cString: strerror(errno)))")
        }
        guard status.st_mode & S_IWOTH == 0 else {
            throw .failed(
                expected: "a file that only its owner may write",
                seen: "everyone may: mode \(String(status.st_mode & 0o7777, radix: 8))")
        }
    }

    @Sendable private static func hasEntry(_ bench: Bench) throws(Finding) {
        let exports = try bench.image().exports()
        guard exports.contains("rqlite_disco_entry") else {
            throw .failed(
                expected: "the dynamic symbol rqlite_disco_entry",
                seen: exports.isEmpty ? "no symbol at all" : list(exports))
        }
    }

    @Sendable private static func hasOneSymbol(_ bench: Bench) throws(Finding) {
        let others = try bench.image().exports().filter { $0 != "rqlite_disco_entry" }
        guard others.isEmpty else {
            // Hidden visibility isn't enough: the C++ library's templates are exported all the same.
            throw .failed(
                expected: "no other dynamic symbol, as a linker version script "
                    + "`{ global: rqlite_disco_entry; local: *; };` sees to",
                seen: list(others))
        }
    }

    private static func list(_ names: [String]) -> String {
        names.prefix(8).joined(separator: ", ")
            + (names.count > 8 ? " and \(names.count - 8) more" : "")
    }

    @Sendable private static func loads(_ bench: Bench) throws(Finding) {
        _ = try LoadedPlugin(path: bench.job.plugin)
    }

    @Sendable private static func loadsQuietly(_ bench: Bench) throws(Finding) {
        let threads = ProcessFacts.threads()
        let descriptors = ProcessFacts.descriptors()
        _ = try bench.plugin()
        let opened = ProcessFacts.descriptors().subtracting(descriptors).sorted()
        let started = ProcessFacts.threads().subtracting(threads)
        guard opened.isEmpty, started.isEmpty else {
            throw .failed(
                expected: "no new descriptor or thread",
                seen: "\(started.count) threads, and "
                    + (opened.isEmpty
                        ? "no descriptor"
                        : opened.map(ProcessFacts.target(of:)).joined(separator: ", ")))
        }
    }

    @Sendable private static func isFound(_ bench: Bench) throws(Finding) {
        let path = bench.job.plugin.contains("/") ? bench.job.plugin : "./" + bench.job.plugin
        do {
            _ = try PluginCatalog(directories: []).find(mode: "\(path)#\(bench.job.mode)")
        } catch {
            throw .failed(
                expected: "-disco-mode \(path)#\(bench.job.mode) finds it",
                seen: "the host says: \(error)")
        }
    }
}
