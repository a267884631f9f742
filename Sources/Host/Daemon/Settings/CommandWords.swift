/// The command line as it may be shown to others: a discovery configuration that is written out in it may
/// hold passwords and tokens.
package enum CommandWords {
    private static let secret = "disco-config"
    private static let hidden = "{…}"

    /// The words, with what may be secret left out; the path of a file is none.
    package static func shown(_ words: [String]) -> [String] {
        var shown: [String] = []
        var hidesNext = false
        for word in words {
            let name = word.drop { $0 == "-" }
            if hidesNext {
                shown.append(isText(word) ? hidden : word)
            } else if word.hasPrefix("-"), name.hasPrefix(secret + "="),
                isText(String(name.dropFirst(secret.count + 1)))
            {
                shown.append("-\(secret)=\(hidden)")
            } else {
                shown.append(word)
            }
            hidesNext = !hidesNext && word.hasPrefix("-") && name == secret
        }
        return shown
    }

    private static func isText(_ value: String) -> Bool {
        if case .text = DiscoveryConfig(value) { true } else { false }
    }
}
