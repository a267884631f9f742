package import JSON

/// A place in a JSON document (RFC 6901): `/nodes/0/address`; `~1` stands for a slash in a name, and
/// `~0` for a tilde.
package struct JSONPointer: Equatable, Sendable, CustomStringConvertible {
    /// The document itself.
    package static let whole = JSONPointer(steps: [], description: "")

    private let steps: [String]
    /// As it was written.
    package let description: String

    private init(steps: [String], description: String) {
        self.steps = steps
        self.description = description
    }

    /// Nil for what is no pointer.
    package init?(_ text: String) {
        guard text.isEmpty || text.hasPrefix("/") else { return nil }
        var steps: [String] = []
        for part in text.split(separator: "/", omittingEmptySubsequences: false).dropFirst() {
            guard let step = Self.step(part) else { return nil }
            steps.append(step)
        }
        self.init(steps: steps, description: text)
    }

    /// What stands there; nil: nothing.
    package func value(in document: JSONValue) -> JSONValue? {
        var value = document
        for step in steps {
            let next: JSONValue?
            if let elements = value.array {
                next = Self.index(step).flatMap {
                    elements.indices.contains($0) ? elements[$0] : nil
                }
            } else {
                next = value[step]
            }
            guard let next else { return nil }
            value = next
        }
        return value
    }

    private static func step(_ part: Substring) -> String? {
        var step = ""
        var isEscape = false
        for character in part.unicodeScalars {
            switch (isEscape, character) {
            case (true, "0"): step.unicodeScalars.append("~")
            case (true, "1"): step.unicodeScalars.append("/")
            case (true, _): return nil
            case (false, "~"):
                isEscape = true
                continue
            case (false, _): step.unicodeScalars.append(character)
            }
            isEscape = false
        }
        return isEscape ? nil : step
    }

    /// Without leading zeros, by the RFC.
    private static func index(_ step: String) -> Int? {
        guard step.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            step == "0" || !step.hasPrefix("0")
        else { return nil }
        return Int(step)
    }
}
