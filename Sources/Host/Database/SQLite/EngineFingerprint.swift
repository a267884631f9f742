internal import CSQLite

/// What two SQLite libraries must have in common so that the same statements give the same rows:
/// source, compile options, and results in which builds, C libraries and processors are known to
/// differ.
///
/// Nodes tell each other the text, which is compared as a whole:
///
///     3.40.1 831d0fb2836b71c9; options=ENABLE_FTS5,…; numbers to text=5f1d…; …; extensions=a.so:07c1…,…
///
/// version, the first 16 digits of the source's hash; the compile options in order; then one part
/// per probe, with the 64 bit FNV-1a hash of its results; and the extensions that were loaded, with the
/// hash of each one's name and bytes, where there are any.
package struct EngineFingerprint: Equatable, Sendable, CustomStringConvertible {
    /// Version and source.
    package let source: String
    package let options: [String]
    /// Name and hash of each probe, in order.
    package let probes: [Probe]
    /// Names and hashes of the extensions that were loaded, in order.
    package var extensions: [Probe] = []

    package struct Probe: Equatable, Sendable {
        package let name: String
        package let hash: String

        package init(name: String, hash: String) {
            self.name = name
            self.hash = hash
        }
    }

    package init(source: String, options: [String], probes: [Probe]) {
        self.source = source
        self.options = options
        self.probes = probes
    }

    /// The form that goes from node to node.
    package var description: String {
        let parts =
            [source, "options=\(options.joined(separator: ","))"]
            + probes.map { "\($0.name)=\($0.hash)" }
            + (extensions.isEmpty ? [] : [Self.extensionsPrefix + Self.text(extensions)])
        return parts.joined(separator: "; ")
    }

    /// Reads the form that goes from node to node. Nil when it has another form, as that of another
    /// version of this program may.
    package init?(_ text: String) {
        let parts = text.split(separator: ";").map { part in
            String(part.drop { $0 == " " })
        }
        guard parts.count >= 2, parts[1].hasPrefix("options=") else { return nil }
        source = parts[0]
        options = parts[1].dropFirst(8).split(separator: ",").map(String.init)
        extensions = Self.extensions(in: parts)
        probes = parts[2...].compactMap { part in
            if part.hasPrefix(Self.extensionsPrefix) { return nil }
            let sides = part.split(separator: "=", maxSplits: 1).map(String.init)
            return sides.count == 2 ? Probe(name: sides[0], hash: sides[1]) : nil
        }
    }

    private static let extensionsPrefix = "extensions="

    private static func text(_ extensions: [Probe]) -> String {
        extensions.map { "\($0.name):\($0.hash)" }.joined(separator: ",")
    }

    private static func extensions(in parts: [String]) -> [Probe] {
        guard let part = parts.first(where: { $0.hasPrefix(extensionsPrefix) }) else { return [] }
        return part.dropFirst(extensionsPrefix.count).split(separator: ",").map { item in
            // Whoever answers as a node wrote it: a colon may stand alone.
            let name = item.prefix { $0 != ":" }
            return Probe(
                name: String(name), hash: String(item.dropFirst(name.count).dropFirst()))
        }
    }

    /// What two nodes have of extensions, in words, where they don't have the same; nil: they do.
    /// - Parameters: the texts that nodes tell each other, one's own first.
    package static func otherExtensions(
        between own: String, and other: String
    ) -> (own: String, other: String)? {
        func extensions(_ text: String) -> [Probe] {
            EngineFingerprint(text)?.extensions ?? []
        }
        let (mine, theirs) = (extensions(own), extensions(other))
        guard mine != theirs else { return nil }
        return (
            mine.isEmpty ? "none" : Self.text(mine), theirs.isEmpty ? "none" : Self.text(theirs)
        )
    }

    /// In which ways two nodes' libraries differ, a clause for each, to be shown to the operator;
    /// empty when nothing is known in which they do.
    /// - Parameters: the texts that nodes tell each other, one's own first.
    package static func differences(between own: String, and other: String) -> [String] {
        guard own != other else { return [] }
        guard let mine = EngineFingerprint(own), let theirs = EngineFingerprint(other) else {
            return ["SQLite is described in another way there: \(other)"]
        }
        var clauses: [String] = []
        if mine.source != theirs.source {
            clauses.append("SQLite \(theirs.source) there, \(mine.source) here")
        }
        let added = theirs.options.filter { !mine.options.contains($0) }
        let missing = mine.options.filter { !theirs.options.contains($0) }
        if !added.isEmpty { clauses.append("options only there: \(added.joined(separator: ", "))") }
        if !missing.isEmpty {
            clauses.append("options only here: \(missing.joined(separator: ", "))")
        }
        for probe in mine.probes {
            let there = theirs.probes.first { $0.name == probe.name }
            if there?.hash != probe.hash { clauses.append("other results for \(probe.name)") }
        }
        if let sets = otherExtensions(between: own, and: other) {
            clauses.append("SQLite extensions there: \(sets.other); here: \(sets.own)")
        }
        return clauses
    }
}

extension Engine {
    /// Of the library of this process. Computed once, which takes some milliseconds.
    package static let fingerprint = EngineFingerprint(
        source: "\(version) \(sourceHash)",
        // Who compiled it shows in the probes, if anywhere.
        options: compileOptions.filter { !$0.hasPrefix("COMPILER=") },
        probes: EngineProbes.run() + [ownRules])

    /// What this program itself refuses, charges and computes when statements are applied. To be counted up
    /// with each change of that: nodes of both versions in one cluster then say that they differ.
    private static let ownRules = EngineFingerprint.Probe(
        name: "statements by this program's rules", hash: "11")

    /// The source ID is a date, a time and a hash.
    private static var sourceHash: String {
        let words = sourceID.split(separator: " ")
        return String((words.last ?? "unknown").prefix(16))
    }
}
