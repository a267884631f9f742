/// Where rules are written.
enum Rule {
    static func header(_ section: String) -> String { "rqlite_disco.h, \(section)" }

    static let lifecycle = header("Lifecycle")
    static let threads = header("Threads")
    static let time = header("Time")
    static let memory = header("Memory")
    static let strings = header("Strings")
    static let growth = header("Growth")
    static let manners = header("Manners")
    static let limits = header("Limits")
    static let status = header("Status codes")
    static let note = header("The note")
    static let sink = header("rqd_sink")
    static let plugin = header("rqd_plugin")
    static let create = header("rqd_plugin.create")
    static let interface = header("rqd_plugin.get_interface")
    static let entry = header("rqlite_disco_entry")
    static let resolver = header("rqd_resolver")
    static let registry = header("rqd_registry")
    static let watch = header("rqd_watch")
    static let describe = header("rqd_status")
    static let log = header("rqd_host.log")
    static let loader = "docs/plugins.md"
    static let manifest = "docs/harness.md, The manifest"
}
