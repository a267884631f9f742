import Glibc
import PluginABI
import PluginSupport

/// A directory of authorities' certificates: all files in it that hold any, whatever their names.
///
/// libcurl would take only those that are named by their hashes, unlike Consul's client. They are read
/// when the instance is made.
struct CertificateDirectory {
    private static let mark = Array("-----BEGIN CERTIFICATE-----".utf8)
    private static let maxFiles = 1024
    private static let maxBytes = 4 << 20

    private let path: String

    init(_ path: String) { self.path = path }

    func contents() throws(CallFailure) -> [UInt8] {
        var all: [UInt8] = []
        for name in try names() {
            let file = "\(path)/\(name)"
            let bytes: [UInt8]
            do {
                bytes = try SmallFile(file).contents(limit: Self.maxBytes)
            } catch {
                // Other directories, and what this user may not read, are not meant.
                continue
            }
            guard PEMText.contains(Self.mark, in: bytes) else { continue }
            all += bytes + [UInt8(ascii: "\n")]
            guard all.count <= Self.maxBytes else {
                throw failure("has more than \(Self.maxBytes) bytes of certificates")
            }
        }
        guard !all.isEmpty else { throw failure("has no file with a certificate") }
        return all
    }

    private func names() throws(CallFailure) -> [String] {
        guard let directory = opendir(path) else {
            throw failure(String(cString: strerror(errno)))
        }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard name != ".", name != ".." else { continue }
            names.append(name)
            guard names.count <= Self.maxFiles else {
                throw failure("has more than \(Self.maxFiles) files")
            }
        }
        return names.sorted()
    }

    private func failure(_ what: String) -> CallFailure {
        CallFailure(RQD_CONFIG, "tls_config.ca_path: \(path): \(what)")
    }
}

enum PEMText {
    static func contains(_ mark: [UInt8], in bytes: [UInt8]) -> Bool {
        bytes.indices.contains { bytes[$0...].starts(with: mark) }
    }
}
