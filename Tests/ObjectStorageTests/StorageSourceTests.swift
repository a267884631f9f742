import Testing

@testable import ObjectStorage

struct StorageSourceTests {
    private func settings(_ url: String) throws(StorageFault) -> StorageSettings {
        try StorageSettings(url: url) { name in
            name == "GOOGLE_APPLICATION_CREDENTIALS" ? "/key.json" : nil
        }
    }

    private func parsed(_ text: String) throws -> StorageSettings {
        try StorageSettings(configuration: Array(text.utf8)) { _ in nil }
    }

    @Test func `Addresses say what configurations say`() throws {
        #expect(
            try settings("file:///a/b/copy")
                == parsed(#"{"type":"file","sub":{"dir":"/a/b","name":"copy"}}"#))
        #expect(
            try settings("s3://bucket/some/key?region=r&force_path_style=true&endpoint=http://h:1")
                == parsed(
                    #"{"type":"s3","sub":{"bucket":"bucket","path":"some/key","region":"r","#
                        + #""force_path_style":true,"endpoint":"http://h:1"}}"#))
        #expect(
            try settings("gs://bucket/dir/name")
                == parsed(
                    #"{"type":"gcs","sub":{"bucket":"bucket","name":"dir/name","#
                        + #""credentials_path":"/key.json"}}"#))
        // Of a file of -auto-backup the place alone counts.
        #expect(
            try settings("file:///a/copy")
                == parsed(
                    #"{"version":1,"type":"file","interval":"1s","log_interval":"1s","#
                        + #""sub":{"dir":"/a","name":"copy"}}"#))
    }

    @Test func `What is no address is refused by what is wrong with it`() {
        for (text, word) in [
            ("/a/b", "no address"), ("ftp://a/b", "no address"), ("file://a/b", "file:///"),
            ("s3://bucket", "sub.path"), ("s3:///key", "sub.bucket"),
            ("s3://b/k?colour=red", "sub.colour is unknown"), ("s3://b/k?region", "no value"),
            ("file:///", "sub.name"),
        ] {
            do {
                _ = try settings(text)
                Issue.record("\(text)")
            } catch {
                #expect(error.description.contains(word), "\(text): \(error)")
            }
        }
    }

    @Test func `A listing's document gives the last parts of keys and folders`() {
        let text =
            "<ListBucketResult><Prefix>a/</Prefix><Contents><Key>a/one</Key></Contents>"
            + "<Contents><Key>a/two</Key></Contents><CommonPrefixes><Prefix>a/x%20y/three/</Prefix>"
            + "</CommonPrefixes></ListBucketResult>"
        #expect(S3Storage.names(of: text) == ["one", "two", "three/"])
        #expect(S3Storage.names(of: "<Key>cut off").isEmpty)
    }

    @Test func `A listing that is cut goes on where it says so, and else is a fault`() throws {
        func page(_ more: String) throws(StorageFault) -> (names: [String], next: String?) {
            try S3Storage.page(
                "<ListBucketResult xmlns=\"x\"><Key>a/one</Key>\(more)</ListBucketResult>",
                of: "s3://b/a")
        }
        for more in ["", "<IsTruncated>false</IsTruncated>"] {
            let last = try page(more)
            #expect(last.names == ["one"] && last.next == nil)
        }
        let cut = "<IsTruncated>true</IsTruncated>"
        let token = "<NextContinuationToken>x&amp;y</NextContinuationToken>"
        #expect(try page(cut + token).next == "x&y")
        for more in [
            "", "<NextMarker>a/one</NextMarker>", "<NextContinuationToken></NextContinuationToken>",
        ] {
            let fault = #expect(throws: StorageFault.self) { try page(cut + more) }
            #expect(fault?.description.contains("ListObjectsV2") == true)
        }
        let whole = "<ListBucketResult><Key>a/one</Key></ListBucketResult>"
        for text in ["", "<html>Sign in</html>", String(whole.dropLast(5))] {
            #expect(throws: StorageFault.self) { try S3Storage.page(text, of: "s3://b/a") }
        }
    }

    @Test func `What libcurl says of a cause is the same with each try`() {
        for (said, told) in [
            (
                "Failed to connect to h port 1 after 13 ms: Connection refused",
                "Failed to connect to h port 1: Connection refused"
            ),
            ("Connection timed out after 10001 milliseconds", "Connection timed out"),
            ("Resolving timed out after 5000 ms, twice", "Resolving timed out, twice"),
            ("closed after two ms", "closed after two ms"), ("after 5 parts", "after 5 parts"),
            ("after", "after"), ("after 7", "after 7"), ("after 7 ms", ""), ("", ""),
        ] {
            #expect(AnswerText.withoutTimes(said) == told)
        }
    }

    @Test func `An archive's intervals are members of the backup's file`() throws {
        func parse(_ more: String) throws(StorageFault) -> AutoBackupSettings {
            let text =
                #"{"type":"file","interval":"1h","sub":{"dir":"/a","name":"n"}\#(more)}"#
            return try AutoBackupSettings(parsing: Array(text.utf8)) { _ in nil }
        }
        #expect(try parse("").logInterval == nil)
        let given = try parse(#","log_interval":"10s","log_full_interval":"1h""#)
        #expect(given.logInterval == .seconds(10) && given.logFullInterval == .seconds(3600))
        #expect(try parse(#","log_interval":"10s""#).logFullInterval == .seconds(86400))
        #expect(throws: StorageFault.self) { try parse(#","log_full_interval":"1h""#) }
        #expect(throws: StorageFault.self) { try parse(#","log_interval":"0s""#) }
    }
}
