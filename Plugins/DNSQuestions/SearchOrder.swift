import Glibc
import PluginSupport

/// Which names are asked for, one after the other, where one name was given: as it stands and within
/// the system's search domains, in the order of resolv.conf(5).
package struct SearchOrder: Equatable {
    /// Without a dot at their ends.
    package let names: [String]
    /// Of `names`: the one as it stands.
    package let absolute: Int

    /// - Parameter name: with a dot at its end it is looked for in no domain.
    package init(_ name: String, in list: SearchList) {
        guard !name.hasSuffix(".") else {
            (names, absolute) = ([String(name.dropLast())], 0)
            return
        }
        let within = list.domains.map { "\(name).\($0)" }
        let isFirst = name.utf8.count { $0 == UInt8(ascii: ".") } >= list.dots
        names = isFirst ? [name] + within : within + [name]
        absolute = isFirst ? 0 : within.count
    }
}

/// The search domains of the system, as `/etc/resolv.conf` and the environment have them.
package struct SearchList: Equatable {
    /// Without dots at their ends.
    package private(set) var domains: [String]
    /// A name with so many dots is asked for as it stands before it is looked for in domains.
    package private(set) var dots = 1

    private static let path = "/etc/resolv.conf"
    private static let sizeLimit = 1 << 16
    /// More names than these no question asks for.
    private static let domainLimit = 16
    /// As glibc has it.
    private static let dotLimit = 15

    package init(domains: [String], dots: Int = 1) {
        self.domains = domains
        self.dots = dots
    }

    /// What the text of `resolv.conf` says. Without a word of domains it is the host name's.
    package init(parsing text: String, hostName: String, environment: (String) -> String?) {
        domains = hostName.firstIndex(of: ".").map { [String(hostName[$0...].dropFirst())] } ?? []
        for line in text.split(whereSeparator: \.isNewline) {
            let words = line.split(whereSeparator: \.isWhitespace).map(String.init)
            switch words.first {
            case "search": domains = Array(words.dropFirst())
            case "domain": domains = Array(words.dropFirst().prefix(1))
            case "options": take(options: words.dropFirst())
            default: continue
            }
        }
        if let local = environment("LOCALDOMAIN") {
            domains = local.split(whereSeparator: \.isWhitespace).map(String.init)
        }
        if let options = environment("RES_OPTIONS") {
            take(options: options.split(whereSeparator: \.isWhitespace).map(String.init)[...])
        }
        var distinct: [String] = []
        for domain in domains {
            let name = domain.hasSuffix(".") ? String(domain.dropLast()) : domain
            if !name.isEmpty, !distinct.contains(name) { distinct.append(name) }
        }
        domains = Array(distinct.prefix(Self.domainLimit))
    }

    private mutating func take(options: ArraySlice<String>) {
        for option in options where option.hasPrefix("ndots:") {
            if let count = Int(option.dropFirst("ndots:".count)), count >= 0 {
                dots = min(count, Self.dotLimit)
            }
        }
    }

    /// Read anew each time, as containers change it.
    package static var system: SearchList {
        var name = [CChar](repeating: 0, count: 256)
        let hasName = gethostname(&name, name.count - 1) == 0
        return SearchList(
            parsing: systemText,
            hostName: hasName
                ? String(
                    decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
                : "",
            environment: ProcessEnvironment.value)
    }

    /// A file that can't be read says nothing.
    private static var systemText: String {
        do throws(SmallFile.Failure) {
            return String(
                decoding: try SmallFile(path).contents(limit: sizeLimit), as: UTF8.self)
        } catch {
            return ""
        }
    }
}
