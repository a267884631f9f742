import Telemetry
import Testing

@testable import ObjectStorage

struct StorageSettingsTests {
    private static let s3 = #""bucket":"b","path":"p""#

    private func backup(
        _ text: String, _ variables: [String: String] = [:]
    ) throws(StorageFault) -> AutoBackupSettings {
        try AutoBackupSettings(parsing: Array(text.utf8)) { variables[$0] }
    }

    private func refusal(_ text: String) -> String {
        do throws(StorageFault) {
            _ = try backup(text)
            return ""
        } catch {
            return error.description
        }
    }

    private func configuration(
        type: String = "s3", sub: String = Self.s3, _ more: String = #","interval":"5m""#
    ) -> String {
        #"{"version":1,"type":"\#(type)","sub":{\#(sub)}\#(more)}"#
    }

    @Test func `rqlite's configuration is read, with what it leaves open`() throws {
        let settings = try backup(
            """
            {"version": 1, "type": "s3", "interval": "1h30m", "vacuum": true, "no_compress": true,
             "timestamp": true, "sub": {"access_key_id": "$ID", "secret_access_key": "${SECRET}",
             "endpoint": "http://127.0.0.1:9000/", "region": "eu-1", "bucket": "b", "path": "d/p",
             "force_path_style": true}}
            """, ["ID": "id", "SECRET": "s$x"])
        #expect(settings.interval == .seconds(5400))
        #expect(settings.vacuums && settings.hasTimestamp && !settings.isCompressed)
        guard case .s3(let s3) = settings.destination else {
            Issue.record("no S3")
            return
        }
        #expect(s3.credentials == AWSCredentials(id: "id", secret: "s$x", token: nil))
        #expect(s3.endpoint?.url == "http://127.0.0.1:9000")
        #expect(s3.isPathStyle && s3.region == "eu-1" && s3.path == "d/p")
        let plain = try backup(
            configuration(sub: Self.s3, #","interval":60000000000,"vacuum":null"#))
        #expect(plain.interval == .seconds(60) && plain.isCompressed && !plain.vacuums)
    }

    @Test func `What is written of a member that is wrong, missing or unknown names it`() {
        let cases = [
            (configuration(type: "ftp"), "ftp"), (configuration(""), "interval"),
            (configuration(#","interval":"0s""#), "interval"),
            (configuration(#","interval":"soon""#), "interval"),
            (configuration(#","interval":300"#), "nanoseconds"),
            (configuration(#","interval":"5m","log_interval":10"#), "log_interval"),
            (configuration(#","interval":true"#), "interval"),
            (configuration(#","interval":"5m","compress":false"#), "compress"),
            (configuration(#","interval":"5m","timestamp":"yes""#), "timestamp"),
            (configuration(sub: Self.s3 + #","secret_acess_key":"x""#), "sub.secret_acess_key"),
            (configuration(sub: Self.s3 + #","access_key_id":"x""#), "sub.secret_access_key"),
            (configuration(sub: #""bucket":"b""#), "sub.path"),
            (configuration(sub: #""bucket":7,"path":"p""#), "sub.bucket"),
            (configuration(sub: #""bucket":"b/../c","path":"p""#), "sub.bucket"),
            (configuration(sub: Self.s3 + #","endpoint":"ftp://h""#), "sub.endpoint"),
            (configuration(sub: Self.s3 + #","server_side_encryption":"x""#), "sub.server_side"),
            (configuration(type: "gcs", sub: #""bucket":"b","name":"n""#), "sub.credentials_path"),
            (configuration(type: "file", sub: #""dir":"d","name":"n""#), "sub.dir"),
            (configuration(type: "file", sub: #""dir":"/d","name":"a/b""#), "sub.name"),
            (configuration(type: "file", sub: #""dir":"/d","name":"METADATA.json""#), "sub.name"),
            (#"{"version":2,"type":"s3","sub":{}}"#, "version"), ("[]", "object"), ("{", "JSON"),
            (#"{"type":"s3","interval":"1s"}"#, "sub"), (#"{"type":"s3","sub":1}"#, "sub"),
        ]
        for (text, name) in cases {
            #expect(refusal(text).contains(name), "\(text): \(refusal(text))")
        }
    }

    @Test func `No refusal shows a secret`() {
        let texts = [
            configuration(
                sub: Self.s3 + #","secret_access_key":"hush-hush","access_key_id":5"#),
            configuration(sub: Self.s3 + #","secret_access_key":"hush-hush""#),
            configuration(sub: Self.s3 + #","secret_access_key":["hush-hush"]"#),
            configuration(sub: Self.s3 + #","endpoint":"https://me:hush-hush@host""#),
            configuration(sub: Self.s3 + #","secret_access_key":"hush-hush"#),
            configuration(
                sub: Self.s3 + #","secret_access_key":"hush-hush\n","access_key_id":"x""#),
        ]
        for text in texts {
            #expect(!refusal(text).isEmpty, "\(text)")
            #expect(!refusal(text).contains("hush"), "\(refusal(text))")
        }
    }

    @Test func `The environment is put in by Go's rules`() {
        let values = ["A": "1", "A_b2": "two", "x y": "odd", "A:-x": "colon"]
        let cases = [
            ("$A", "1"), ("$A_b2.", "two."), ("${A}b", "1b"), ("${x y}", "odd"),
            ("${A:-x}", "colon"),
            ("$none!", "!"), ("${none}", ""), ("$5x", "x"), ("$$A", "A"), ("${}", ""),
            ("a${b", "ab"),
            ("$", "$"), ("$ A", "$ A"), ("$\"", "$\""), ("${*}|$*", "|"), ("ü$A", "ü1"),
        ]
        for (text, expected) in cases {
            let found = EnvironmentText.expand(Array(text.utf8)) { values[$0] }
            #expect(String(decoding: found, as: UTF8.self) == expected, "\(text)")
        }
    }

    @Test func `A restore has half a minute unless it is told otherwise`() throws {
        let text = configuration(type: "s3", sub: Self.s3, #","continue_on_failure":true"#)
        let settings = try AutoRestoreSettings(parsing: Array(text.utf8)) { _ in nil }
        #expect(settings.timeout == .seconds(30) && settings.continuesOnFailure)
        #expect(throws: StorageFault.self) {
            try AutoRestoreSettings(parsing: Array(configuration().utf8)) { _ in nil }
        }
    }

    @Test func `Amazon's file of credentials is read by profile, whatever stands around it`() {
        let text = """
            # comment
            [other]
            aws_access_key_id=no
            aws_secret_access_key=no
            [ mine ]
            ; comment
            AWS_ACCESS_KEY_ID =  id
            aws_secret_access_key = s=e/c+ret
            aws_session_token = t
            [default]
            """
        #expect(
            AWSCredentials(profile: "mine", of: Array(text.utf8))
                == AWSCredentials(id: "id", secret: "s=e/c+ret", token: "t"))
        #expect(AWSCredentials(profile: "default", of: Array(text.utf8)) == nil)
    }

    /// A field without a value is signed, and libcurl sends none.
    @Test func `A variable that is set to nothing is as if it were not set`() throws {
        let variables = [
            "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "",
            "AWS_REGION": "", "AWS_DEFAULT_REGION": "eu-1",
        ]
        let found = try AWSCredentials.find(environment: { variables[$0] })
        #expect(found == AWSCredentials(id: "id", secret: "secret", token: nil))
        guard case .s3(let s3) = try backup(configuration(), variables).destination else {
            Issue.record("no S3")
            return
        }
        #expect(s3.region == "eu-1")
        let text = "[default]\naws_access_key_id=id\naws_secret_access_key=s\naws_session_token=\n"
        #expect(
            AWSCredentials(profile: "default", of: Array(text.utf8))
                == AWSCredentials(id: "id", secret: "s", token: nil))
    }

    @Test func `A name with a time begins with it in its own folder`() {
        #expect(
            TimestampedName.of("a/b.gz", .init(seconds: 1_369_353_600, nanoseconds: 5))
                == "a/20130524000000_b.gz")
        #expect(TimestampedName.of("b", .init(seconds: 0)) == "19700101000000_b")
    }
}
