import Glibc
import PluginABI

extension Runner {
    package init(_ invocation: Invocation) throws(InvocationError) {
        guard access(invocation.plugin, R_OK) == 0 else {
            throw InvocationError("\(invocation.plugin): \(String(cString: strerror(errno)))")
        }
        self.init(
            plugin: invocation.plugin,
            mode: try Self.mode(invocation.plugin, chosen: invocation.mode))
        backendURL = invocation.backend
        // Elsewhere the host refuses it, and it would be judged by what it does to this process.
        isIsolated = invocation.isIsolated || PluginModes.needsOwnProcess(invocation.plugin)
        isStrict = invocation.isStrict
        hangLimit = invocation.keepsGoing ? Int.max : Self.toleratedHangs
        seed = invocation.seed
        jobs = invocation.jobs
        slowness = invocation.slowness
        wrapper = invocation.wrapper
        config = try invocation.config.map(Self.config)
        let path = invocation.manifest ?? Self.manifestPath(of: invocation.plugin)
        guard access(path, R_OK) == 0 || invocation.manifest != nil else { return }
        guard let text = TextFile.readBytes(path, limit: Manifest.sizeLimit) else {
            throw InvocationError("\(path): can't be read, or has over 4 MiB")
        }
        do {
            manifest = try Manifest(parsing: text, mode: mode)
        } catch {
            throw InvocationError("\(path): \(error)")
        }
        manifestPath = path
    }

    /// Each costs the time limit of its check.
    private static let toleratedHangs = 3

    /// `librqlite-disco-dns.so` → `rqlite-disco-dns.harness.json` beside it.
    static func manifestPath(of plugin: String) -> String {
        var parts = plugin.split(separator: "/", omittingEmptySubsequences: false)
        var name = parts.popLast() ?? ""
        if name.hasPrefix("lib") { name = name.dropFirst(3) }
        if name.hasSuffix(".so") { name = name.dropLast(3) }
        return (parts + ["\(name).harness.json"]).joined(separator: "/")
    }

    private static func mode(_ plugin: String, chosen: String?) throws(InvocationError) -> String {
        let modes = PluginModes.read(plugin).map(\.name)
        if let chosen {
            guard modes.isEmpty || modes.contains(chosen) else {
                throw InvocationError("\(plugin) has no mode \(chosen), but \(modes)")
            }
            return chosen
        }
        // Without a note there is nothing to choose; the checks will say so.
        guard modes.count < 2 else {
            throw InvocationError("\(plugin) has several modes, choose with --mode: \(modes)")
        }
        return modes.first ?? ""
    }

    /// The host's rule: what begins with a brace is the text, all else a file's path.
    private static func config(_ text: String) throws(InvocationError) -> [UInt8] {
        if text.first(where: { !$0.isWhitespace }) == "{" { return Array(text.utf8) }
        guard let content = TextFile.readBytes(text, limit: Int(RQD_MAX_CONFIG)) else {
            throw InvocationError("--config \(text): can't be read, or has over 1 MiB")
        }
        return content
    }
}
