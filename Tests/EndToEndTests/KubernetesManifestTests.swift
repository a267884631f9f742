import Foundation
import Testing

/// The manifests fit together. No Kubernetes is at hand to take them: see `PodTests` for what runs.
@Suite struct KubernetesManifestTests {
    private let statefulSet: JSON
    private let internalService: JSON
    private let service: JSON

    init() throws {
        statefulSet = try Manifests.document("base/statefulset.yaml")
        internalService = try Manifests.document("base/service-internal.yaml")
        service = try Manifests.document("base/service.yaml")
    }

    private var pod: JSON { statefulSet["spec"]["template"] }
    private var container: JSON { pod["spec"]["containers"][0] }

    @Test func `Every manifest is a resource of the base, and the other way round`() throws {
        let listed = try Manifests.document("base/kustomization.yaml")["resources"].array ?? []
        let files = try FileManager.default.contentsOfDirectory(atPath: "\(Manifests.folder)/base")
        #expect(
            listed.compactMap(\.string).sorted()
                == files.filter { $0 != "kustomization.yaml" }.sorted())
        for file in files where file != "kustomization.yaml" {
            let document = try Manifests.document("base/\(file)")
            #expect(document["apiVersion"].string != nil, "\(file)")
            #expect(document["metadata"]["name"].string != nil, "\(file)")
        }
    }

    @Test func `The selectors meet the pods`() throws {
        let labels = try #require(pod["metadata"]["labels"].members)
        #expect(labels == ["app"])
        let app = pod["metadata"]["labels"]["app"].string
        #expect(statefulSet["spec"]["selector"]["matchLabels"]["app"].string == app)
        for service in [service, internalService] {
            #expect(service["spec"]["selector"]["app"].string == app)
        }
        let budget = try Manifests.document("base/pod-disruption-budget.yaml")
        #expect(budget["spec"]["selector"]["matchLabels"]["app"].string == app)
        #expect(budget["spec"]["maxUnavailable"].int == 1)
        #expect((statefulSet["spec"]["replicas"].int ?? 0) / 2 >= 1)
    }

    @Test func `The headless service is that of the set and shows pods that are not ready`() {
        #expect(internalService["spec"]["clusterIP"].string == "None")
        #expect(internalService["spec"]["publishNotReadyAddresses"].bool == true)
        #expect(
            statefulSet["spec"]["serviceName"].string == internalService["metadata"]["name"].string)
        #expect(statefulSet["spec"]["podManagementPolicy"].string == "Parallel")
        #expect(service["spec"]["clusterIP"].string == nil)
    }

    @Test func `Ports are those of the image and are called alike`() throws {
        var ports: [String: Int] = [:]
        for port in container["ports"].array ?? [] {
            ports[try #require(port["name"].string)] = port["containerPort"].int
        }
        #expect(ports == ["http": 4001, "raft": 4002])
        for service in [service, internalService] {
            let port = service["spec"]["ports"][0]
            #expect(ports[port["targetPort"].string ?? ""] == port["port"].int)
        }
        for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
            #expect(container[probe]["httpGet"]["port"].string == "http")
        }
        let image = try String(
            contentsOfFile: "\(Manifests.folder)/../docker/Dockerfile", encoding: .utf8)
        #expect(image.contains("\nEXPOSE 4001 4002\n"))
        #expect(image.contains("\nVOLUME /rqlite/file\n"))
        #expect(image.contains("useradd --uid 1000 --gid 1000"))
    }

    @Test func `The image's first process takes orphans, and what follows is the entry point`()
        throws
    {
        let image = try String(
            contentsOfFile: "\(Manifests.folder)/../docker/Dockerfile", encoding: .utf8)
        #expect(image.contains("libstdc++6 tini \\\n"))
        #expect(image.contains("\nENTRYPOINT [\"tini\", \"--\", \"docker-entrypoint.sh\"]\n"))
    }

    @Test func `A pod may take hours to start before it is killed, and half a minute to end`() {
        let (start, life) = (container["startupProbe"], container["livenessProbe"])
        let path = life["httpGet"]["path"].string
        #expect(path != nil && start["httpGet"]["path"].string == path)
        // Nothing else would hold the liveness probe back.
        let patience = (start["periodSeconds"].int ?? 0) * (start["failureThreshold"].int ?? 0)
        #expect(patience >= 4 * 3600)
        #expect((pod["spec"]["terminationGracePeriodSeconds"].int ?? 0) >= 30)
    }

    @Test func `The volume is mounted where the image keeps its data, for the image's user`() {
        let mount = container["volumeMounts"][0]
        #expect(mount["mountPath"].string == "/rqlite/file")
        let claim = statefulSet["spec"]["volumeClaimTemplates"][0]["metadata"]["name"].string
        #expect(mount["name"].string == claim)
        let security = pod["spec"]["securityContext"]
        #expect(security["runAsNonRoot"].bool == true)
        for member in ["runAsUser", "runAsGroup", "fsGroup"] {
            #expect(security[member].int == 1000, "\(member)")
        }
    }

    @Test(arguments: ["dns", "dns-srv", "kubernetes"])
    func `An overlay adds the arguments of its mode to the container`(_ overlay: String) throws {
        let kustomization = try Manifests.document("overlays/\(overlay)/kustomization.yaml")
        #expect(kustomization["resources"][0].string == "../../base")
        let patch = kustomization["patches"][0]
        #expect(patch["path"].string == "arguments.yaml")
        #expect(patch["target"]["kind"].string == statefulSet["kind"].string)
        #expect(patch["target"]["name"].string == statefulSet["metadata"]["name"].string)
        let operation = try Manifests.document("overlays/\(overlay)/arguments.yaml")[0]
        #expect(operation["op"].string == "add")
        #expect(operation["path"].string == "/spec/template/spec/containers/0/args")
        let arguments = try Manifests.arguments(overlay: overlay)
        #expect(arguments.contains("-disco-mode=\(overlay)"))
        #expect(arguments.contains("-bootstrap-expect=\(statefulSet["spec"]["replicas"].int ?? 0)"))
        let text = try #require(arguments.first { $0.hasPrefix("-disco-config=") })
        let configuration = try JSONSerialization.jsonObject(
            with: Data(text.dropFirst("-disco-config=".count).utf8))
        let member = overlay == "kubernetes" ? "service" : "name"
        #expect(
            JSON(configuration)[member].string == internalService["metadata"]["name"].string)
        if overlay == "dns-srv" {
            #expect(
                JSON(configuration)["service"].string
                    == internalService["spec"]["ports"][0]["name"].string)
        }
    }

    @Test func `The overlay for the API server brings an account that may read endpoints alone`()
        throws
    {
        let configuration = try #require(
            Manifests.arguments(overlay: "kubernetes").first { $0.hasPrefix("-disco-config=") })
        let port = internalService["spec"]["ports"][0]["name"].string ?? "?"
        #expect(configuration.contains("\"port_name\":\"\(port)\""))
        let patches = try Manifests.document("overlays/kubernetes/arguments.yaml")
        #expect(patches[1]["path"].string == "/spec/template/spec/serviceAccountName")
        let documents = try Manifests.read("overlays/kubernetes/account.yaml")
        #expect(
            documents.map { $0["kind"].string } == ["ServiceAccount", "Role", "RoleBinding"])
        let (account, role, binding) = (documents[0], documents[1], documents[2])
        #expect(account["metadata"]["name"].string == patches[1]["value"].string)
        #expect(binding["subjects"][0]["name"].string == patches[1]["value"].string)
        #expect(binding["roleRef"]["name"].string == role["metadata"]["name"].string)
        #expect(role["rules"].array?.count == 1)
        let rule = role["rules"][0]
        #expect(rule["apiGroups"].array?.map(\.string) == ["discovery.k8s.io"])
        #expect(rule["resources"].array?.map(\.string) == ["endpointslices"])
        #expect(rule["verbs"].array?.map(\.string) == ["get", "list", "watch"])
    }
}
