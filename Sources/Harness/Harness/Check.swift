/// One rule of the contract and how to find out whether a plugin keeps it.
package struct Check: Sendable {
    package enum Group: String, Sendable, CaseIterable {
        case file, note, descriptor, version, texts, config, arguments, lifecycle, interfaces
        case leaks, threads, calls, deadlines, faults, resolver, registry, watch, status, manners

        package var summary: String {
            switch self {
            case .file: "The file, before any of its code runs"
            case .note: "The ELF note, read from the file"
            case .descriptor: "What the entry returns"
            case .version: "Other hosts than this one"
            case .texts: "Texts of the descriptor"
            case .config: "Configurations, good and bad"
            case .arguments: "What the host lends to the plugin"
            case .lifecycle: "Making and ending instances"
            case .interfaces: "Tables of functions"
            case .leaks: "What is left behind"
            case .threads: "Who calls whom on which thread"
            case .calls: "Results and errors of calls"
            case .deadlines: "Time, and being given up"
            case .faults: "A server that misbehaves"
            case .resolver: "Plugins of role resolver"
            case .registry: "Plugins of role registry"
            case .watch: "Waiting for a change"
            case .status: "Describing an instance"
            case .manners: "Being a guest in the process"
            }
        }
    }

    /// Without these a check is skipped, with the reason.
    struct Needs: OptionSet, Sendable {
        let rawValue: Int
        /// The plugin in this process: under isolation there is nothing to see.
        static let direct = Needs(rawValue: 1)
        static let resolver = Needs(rawValue: 2)
        static let registry = Needs(rawValue: 4)
        /// A server that does what the check says: none is there for a plugin that speaks to none,
        /// and a real one can't be told.
        static let fakeServer = Needs(rawValue: 8)
        /// The check's process ends by `exit`, and how it ends counts.
        static let exit = Needs(rawValue: 16)
        /// A plugin in a process of its own, looked at from outside.
        static let isolated = Needs(rawValue: 32)
    }

    package let name: String
    /// One sentence.
    package let summary: String
    package let group: Group
    /// Where the rule is written: a section of rqlite_disco.h, or a page.
    package let rule: String
    /// Seconds after which it is ended.
    package let timeout: Int
    let needs: Needs
    let body: @Sendable (Bench) throws(Finding) -> Void

    init(
        _ name: String, _ summary: String, rule: String, needs: Needs = [], timeout: Int = 30,
        _ body: @escaping @Sendable (Bench) throws(Finding) -> Void
    ) {
        let group = Group(rawValue: String(name.prefix { $0 != "." }))
        guard let group else { preconditionFailure("the check \(name) belongs to no group") }
        self.name = name
        self.summary = summary
        self.group = group
        self.rule = rule
        self.needs = needs
        self.timeout = timeout
        self.body = body
    }
}
