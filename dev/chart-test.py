#!/usr/bin/env python3
"""What the chart's templates say. Run by dev/chart-test, which provides HELM and PyYAML."""

import functools
import hashlib
import json
import os
import pathlib
import re
import subprocess
import unittest

import yaml

TOP = pathlib.Path(__file__).resolve().parent.parent
CHART = TOP / "charts" / "lifeboat"
HELM = os.environ["HELM"]
CRDS = ["backuppolicies.lifeboat.dev", "backups.lifeboat.dev", "backupstores.lifeboat.dev", "migrationapprovals.lifeboat.dev",
        "migrationruns.lifeboat.dev", "restoredrills.lifeboat.dev"]


def helm(values, release="lifeboat", namespace="ops", version="1.33.0"):
    """Renders the chart. Returns (exit code, stdout, stderr)."""
    done = subprocess.run(
        [HELM, "template", release, str(CHART), "--namespace", namespace, "--kube-version", version, "--values", "-"],
        input=json.dumps(values), capture_output=True, text=True, check=False,
    )
    return done.returncode, done.stdout, done.stderr


# The parser in C where it is there: the CRDs are long.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@functools.cache
def rendered(text, release):
    code, out, err = helm(json.loads(text), release)
    if code:
        raise AssertionError(err)
    return out


@functools.cache
def parsed(text, release):
    return [o for o in yaml.load_all(rendered(text, release), Loader=LOADER) if o]


def objects(values=None, release="lifeboat"):
    return parsed(json.dumps(values or {}), release)


def of_kind(kind, values=None, release="lifeboat"):
    return [o for o in objects(values, release) if o["kind"] == kind]


def one(kind, values=None, release="lifeboat"):
    found = of_kind(kind, values, release)
    assert len(found) == 1, f"{len(found)} of kind {kind}"
    return found[0]


def pod(values=None):
    return one("Deployment", values)["spec"]["template"]


def settings(values=None):
    return yaml.safe_load(one("ConfigMap", values)["data"]["settings.yaml"])


# The namespace administrator's installation (K39).
NARROW = {
    "watchNamespaces": ["shop", "billing"],
    "crds": {"enabled": False},
    "rbac": {"aggregate": False},
    "admission": {"enabled": False},
}


class Authority(unittest.TestCase):
    EXPECTED = {
        ("lifeboat.dev", "backupstores"): {"get", "list", "watch"},
        ("lifeboat.dev", "backuppolicies"): {"get", "list", "watch"},
        ("lifeboat.dev", "backups"): {"get", "list", "watch", "create"},
        ("lifeboat.dev", "restoredrills"): {"get", "list", "watch", "create", "delete"},
        ("lifeboat.dev", "migrationruns"): {"get", "list", "watch", "patch"},
        ("lifeboat.dev", "migrationapprovals"): {"get", "list", "watch"},
        ("lifeboat.dev", "backupstores/status"): {"patch", "update"},
        ("lifeboat.dev", "backuppolicies/status"): {"patch", "update"},
        ("lifeboat.dev", "backups/status"): {"patch", "update"},
        ("lifeboat.dev", "restoredrills/status"): {"patch", "update"},
        ("lifeboat.dev", "migrationruns/status"): {"patch", "update"},
        ("batch", "jobs"): {"get", "list", "watch", "create", "delete"},
        ("networking.k8s.io", "networkpolicies"): {"create", "patch", "delete"},
        ("", "pods"): {"get", "list", "watch"},
        ("", "pods/log"): {"get"},
        ("", "events"): {"create", "patch", "list"},
        ("events.k8s.io", "events"): {"create", "patch", "list"},
    }

    @staticmethod
    def granted(role):
        grants = {}
        for rule in role["rules"]:
            assert set(rule) == {"apiGroups", "resources", "verbs"}, rule
            for group in rule["apiGroups"]:
                for resource in rule["resources"]:
                    grants.setdefault((group, resource), set()).update(rule["verbs"])
        return grants

    def test_the_operator_may_do_exactly_this(self):
        role = next(r for r in of_kind("ClusterRole") if r["metadata"]["name"] == "lifeboat-operator")
        self.assertEqual(self.granted(role), self.EXPECTED)

    def test_no_role_names_secrets_configmaps_exec_or_a_wildcard(self):
        for values in ({}, NARROW):
            for role in of_kind("ClusterRole", values) + of_kind("Role", values):
                text = json.dumps(role["rules"])
                for word in ("secrets", "configmaps", "exec", "attach", "portforward", "*", "escalate", "bind", "impersonate"):
                    self.assertNotIn(f'"{word}"', text)
                    self.assertNotIn(f"/{word}", text)

    def test_every_binding_names_the_operators_account_and_a_role_that_exists(self):
        for values in ({}, NARROW, {"serviceAccount": {"create": False, "name": "mine"}}, {"serviceAccount": {"name": "ours"}}):
            account = pod(values)["spec"]["serviceAccountName"]
            roles = {(r["kind"], r["metadata"].get("namespace"), r["metadata"]["name"])
                     for r in of_kind("ClusterRole", values) + of_kind("Role", values)}
            bindings = of_kind("ClusterRoleBinding", values) + of_kind("RoleBinding", values)
            self.assertTrue(bindings)
            for binding in bindings:
                self.assertEqual(binding["subjects"], [{"kind": "ServiceAccount", "name": account, "namespace": "ops"}])
                ref = binding["roleRef"]
                self.assertIn((ref["kind"], binding["metadata"].get("namespace"), ref["name"]), roles)

    def test_watched_namespaces_get_roles_and_nothing_is_cluster_wide(self):
        roles = of_kind("Role", NARROW)
        self.assertEqual([r["metadata"]["namespace"] for r in roles], ["shop", "billing"])
        for role in roles:
            self.assertEqual(self.granted(role), self.EXPECTED)
        namespaced = {"ServiceAccount", "ConfigMap", "Service", "Deployment", "Role", "RoleBinding"}
        self.assertEqual({o["kind"] for o in objects(NARROW)}, namespaced)
        args = pod(NARROW)["spec"]["containers"][0]["args"]
        self.assertEqual(args[-4:], ["--watch-namespace", "shop", "--watch-namespace", "billing"])

    def test_view_reads_and_edit_never_writes_a_status(self):
        roles = {r["metadata"]["name"]: r for r in of_kind("ClusterRole")}
        for verbs in self.granted(roles["lifeboat-view"]).values():
            self.assertEqual(verbs, {"get", "list", "watch"})
        for (_, resource), verbs in self.granted(roles["lifeboat-edit"]).items():
            self.assertNotIn("/", resource)
            self.assertLessEqual(verbs, {"create", "update", "patch", "delete", "deletecollection"})
        key = "rbac.authorization.k8s.io/aggregate-to-view"
        self.assertEqual([n for n, r in roles.items() if key in r["metadata"]["labels"]], ["lifeboat-view"])
        names = [r["metadata"]["name"] for r in of_kind("ClusterRole", {"rbac": {"aggregate": False}})]
        self.assertEqual(names, ["lifeboat-operator", "lifeboat-admission"])

    def test_migrations_and_approvals_are_nobodys_by_aggregation(self):
        for role in of_kind("ClusterRole"):
            if not any("aggregate-to" in label for label in role["metadata"]["labels"]):
                continue
            for rule in role["rules"]:
                if {"migrationruns", "migrationapprovals"} & set(rule["resources"]):
                    self.assertEqual(set(rule["verbs"]), {"get", "list", "watch"})
        roles = {r["metadata"]["name"]: self.granted(r) for r in of_kind("ClusterRole") if "admission" not in r["metadata"]["name"]}
        self.assertIn("approve", roles["lifeboat-approver"][("lifeboat.dev", "migrationruns")])
        self.assertNotIn("create", roles["lifeboat-approver"][("lifeboat.dev", "migrationruns")])
        self.assertNotIn("create", roles["lifeboat-migrator"][("lifeboat.dev", "migrationapprovals")])
        self.assertNotIn("approve", roles["lifeboat-migrator"][("lifeboat.dev", "migrationruns")])

    def test_the_operator_reads_its_admission_policies_by_name_alone(self):
        role = next(r for r in of_kind("ClusterRole") if r["metadata"]["name"] == "lifeboat-admission")
        self.assertEqual([rule["verbs"] for rule in role["rules"]], [["get"]])
        shipped = {p["metadata"]["name"] for p in of_kind("ValidatingAdmissionPolicy")}
        self.assertLessEqual(set(role["rules"][0]["resourceNames"]), shipped)


class Operator(unittest.TestCase):
    def test_it_runs_under_the_restricted_standard(self):
        for values in ({}, NARROW):
            spec = pod(values)["spec"]
            self.assertIs(spec["securityContext"]["runAsNonRoot"], True)
            self.assertEqual(spec["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})
            self.assertNotIn("runAsUser", spec["securityContext"])
            self.assertIs(spec["enableServiceLinks"], False)
            for key in ("hostNetwork", "hostPID", "hostIPC"):
                self.assertNotIn(key, spec)
            for container in spec["containers"] + spec.get("initContainers", []):
                context = container["securityContext"]
                self.assertEqual(context, {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                })
                self.assertTrue(container["resources"]["requests"] and container["resources"]["limits"])
                self.assertNotIn("env", container)
            for volume in spec["volumes"]:
                self.assertLessEqual(set(volume), {"name", "configMap"})

    def test_there_is_one_and_never_two(self):
        spec = one("Deployment")["spec"]
        self.assertEqual((spec["replicas"], spec["strategy"]), (1, {"type": "Recreate"}))

    def test_its_command_and_probes_are_what_the_binary_knows(self):
        container = pod()["spec"]["containers"][0]
        self.assertEqual(container["args"], ["operator", "--settings", "/etc/lifeboat/settings.yaml", "--listen", "0.0.0.0:8080",
                                             "--log-format", "json", "--log-level", "info"])
        self.assertEqual(container["livenessProbe"]["httpGet"], {"path": "/healthz", "port": "http"})
        self.assertEqual(container["readinessProbe"]["httpGet"], {"path": "/readyz", "port": "http"})
        self.assertEqual(container["ports"], [{"name": "http", "containerPort": 8080}])

    def test_its_image_is_the_jobs_image(self):
        for image, expected in (({}, "localhost/lifeboat:0.1.0"), ({"repository": "r.example/x", "tag": "7"}, "r.example/x:7")):
            self.assertEqual(pod({"image": image})["spec"]["containers"][0]["image"], expected)
            self.assertEqual(settings({"image": image})["image"], expected)

    def test_services_and_selectors_agree(self):
        for release in ("lifeboat", "prod", "my-lifeboat-2"):
            deployment, service = one("Deployment", None, release), one("Service", None, release)
            self.assertEqual(service["spec"]["selector"], deployment["spec"]["selector"]["matchLabels"])
            self.assertLessEqual(service["spec"]["selector"].items(), deployment["spec"]["template"]["metadata"]["labels"].items())
            # A Service of that name would set LIFEBOAT_PORT in every pod of the namespace (K8).
            self.assertTrue(service["metadata"]["name"].endswith("-metrics"))


class Settings(unittest.TestCase):
    def test_they_have_exactly_the_fields_that_the_operator_reads(self):
        source = (TOP / "src" / "workload" / "settings.rs").read_text()
        body = re.search(r"pub struct Settings \{(.*?)\n\}", source, re.S)[1]
        fields = re.findall(r"^    pub (\w+):", body, re.M)
        camel = [re.sub(r"_(\w)", lambda m: m[1].upper(), f) for f in fields]
        self.assertEqual(list(settings()), camel)

    def test_values_arrive(self):
        workers = {
            "postgresImage": "r.example/pg:{major}-x", "allowedImages": ["r.example/*"], "defaultMajor": 15, "runAsUser": 1000680000,
            "fsGroup": 7, "imagePullSecrets": ["pull"], "env": {"HTTPS_PROXY": "http://proxy.example:3128", "NO_PROXY": ".svc"},
            "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "3", "memory": "2Gi"}},
        }
        got = settings({"workers": workers, "image": {"pullPolicy": "Never"}})
        self.assertEqual({k: got[k] for k in workers}, workers)
        self.assertEqual(got["imagePullPolicy"], "Never")

    def test_null_leaves_uids_to_the_platform(self):
        got = settings({"workers": {"runAsUser": None, "fsGroup": None}})
        self.assertEqual((got["runAsUser"], got["fsGroup"]), (None, None))

    def test_another_setting_is_another_pod(self):
        key = "lifeboat.dev/settings-checksum"
        before, after = ({**pod(v)["metadata"]["annotations"]}[key] for v in ({}, {"workers": {"defaultMajor": 16}}))
        self.assertNotEqual(before, after)
        self.assertEqual(len(before), len(hashlib.sha256().hexdigest()))


class Definitions(unittest.TestCase):
    def originals(self):
        files = sorted((TOP / "crds").glob("*.yaml"))
        self.assertTrue(files, "no crds/*.yaml; write them with: lifeboat crd --dir crds")
        return files

    def test_the_charts_copies_are_the_generated_files(self):
        copies = sorted((CHART / "files" / "crds").glob("*.yaml"))
        self.assertEqual([(f.name, f.read_text()) for f in copies], [(f.name, f.read_text()) for f in self.originals()],
                         "run dev/chart-crds")

    def test_they_are_rendered_as_they_are_and_kept(self):
        expected = {}
        for file in self.originals():
            crd = yaml.load(file.read_text(), Loader=LOADER)
            expected[crd["metadata"]["name"]] = crd["spec"]
        self.assertEqual(sorted(expected), CRDS)
        for keep, annotations in ((True, {"helm.sh/resource-policy": "keep"}), (False, None)):
            found = of_kind("CustomResourceDefinition", {"crds": {"keep": keep}})
            self.assertEqual({c["metadata"]["name"]: c["spec"] for c in found}, expected)
            for crd in found:
                self.assertEqual(crd["metadata"].get("annotations"), annotations)
                self.assertEqual(crd["metadata"]["labels"]["app.kubernetes.io/instance"], "lifeboat")

    def test_they_can_be_left_out(self):
        self.assertEqual(of_kind("CustomResourceDefinition", {"crds": {"enabled": False}}), [])


class Admission(unittest.TestCase):
    def test_it_knows_the_operator_by_name(self):
        for values, account in (({}, "lifeboat"), ({"serviceAccount": {"name": "ours"}}, "ours")):
            policy = next(p for p in of_kind("ValidatingAdmissionPolicy", values) if p["metadata"]["name"].endswith("-backups"))
            self.assertIn(f"'system:serviceaccount:ops:{account}'", policy["spec"]["matchConditions"][0]["expression"])
            names = {p["metadata"]["name"] for p in of_kind("ValidatingAdmissionPolicy", values)}
            bindings = {b["metadata"]["name"]: b["spec"] for b in of_kind("ValidatingAdmissionPolicyBinding", values)}
            self.assertEqual(bindings, {name: {"policyName": name, "validationActions": ["Deny"]} for name in names})

    def test_it_watches_over_all_three_fields(self):
        policy = next(p for p in of_kind("ValidatingAdmissionPolicy") if p["metadata"]["name"].endswith("-backups"))
        text = json.dumps(policy["spec"]["validations"])
        for field in ("reason", "scheduledTime", "tiers"):
            self.assertIn(f"has(object.spec.{field})", text)

    def test_it_can_be_left_out(self):
        values = {"admission": {"enabled": False}}
        self.assertEqual(of_kind("ValidatingAdmissionPolicy", values) + of_kind("ValidatingAdmissionPolicyBinding", values), [])


class Values(unittest.TestCase):
    def test_what_the_schema_does_not_know_is_refused(self):
        for values in (
            {"replicas": 2}, {"image": {"name": "x"}}, {"image": {"pullPolicy": "Sometimes"}}, {"image": {"repository": ""}},
            {"workers": {"image": "x"}}, {"workers": {"defaultMajor": 12}}, {"workers": {"runAsUser": 0}}, {"workers": {"resources": {"limit": {}}}},
            {"workers": {"env": {"PATH": "/x"}}}, {"workers": {"env": {"HTTPS_PROXY": "http://user:password@proxy"}}},
            {"crds": {"install": True}}, {"crds": {"enabled": "yes"}}, {"rbac": {"create": False}}, {"admission": {"policy": True}},
            {"watchNamespaces": "shop"}, {"watchNamespaces": ["Shop"]}, {"metrics": {"enabled": True}}, {"metrics": {"service": {"port": 0}}},
            {"serviceAccount": {"create": False}}, {"podLabels": {"app.kubernetes.io/name": "x"}}, {"nodeSelector": {"a": 1}},
        ):
            with self.subTest(values=values):
                self.assertNotEqual(helm(values)[0], 0)

    def test_kubernetes_before_1_33_is_refused(self):
        code, _, err = helm({}, version="1.32.9")
        self.assertNotEqual(code, 0)
        self.assertIn("1.33.0", err)

    def test_every_value_does_something(self):
        base = rendered("{}", "lifeboat")
        for values in (
            {"nameOverride": "boat"}, {"fullnameOverride": "boat"}, {"image": {"repository": "x"}}, {"image": {"tag": "x"}},
            {"image": {"pullPolicy": "Always"}}, {"image": {"pullSecrets": ["x"]}}, {"workers": {"postgresImage": "x"}},
            {"workers": {"allowedImages": ["x"]}}, {"workers": {"defaultMajor": 14}}, {"workers": {"runAsUser": 1}}, {"workers": {"fsGroup": 1}},
            {"workers": {"imagePullSecrets": ["x"]}}, {"workers": {"env": {"NO_PROXY": "x"}}}, {"workers": {"resources": {"limits": {"cpu": 1}}}}, {"watchNamespaces": ["x"]},
            {"crds": {"enabled": False}}, {"crds": {"keep": False}}, {"rbac": {"aggregate": False}}, {"admission": {"enabled": False}},
            {"serviceAccount": {"create": False, "name": "x"}}, {"serviceAccount": {"name": "x"}}, {"serviceAccount": {"annotations": {"a": "b"}}},
            {"log": {"level": "debug"}}, {"log": {"format": "text"}}, {"metrics": {"service": {"enabled": False}}}, {"metrics": {"service": {"port": 9}}}, {"metrics": {"service": {"annotations": {"a": "b"}}}},
            {"resources": {"limits": {"cpu": 1}}}, {"nodeSelector": {"a": "b"}}, {"tolerations": [{"key": "a"}]}, {"affinity": {"nodeAffinity": {}}},
            {"priorityClassName": "x"}, {"podLabels": {"a": "b"}}, {"podAnnotations": {"a": "b"}},
        ):
            with self.subTest(values=values):
                self.assertNotEqual(rendered(json.dumps(values), "lifeboat"), base)

    def test_every_object_is_labelled_and_names_no_other_namespace(self):
        for values in ({}, NARROW):
            for item in objects(values, "prod"):
                self.assertEqual(item["metadata"]["labels"]["app.kubernetes.io/instance"], "prod", item["metadata"]["name"])
                self.assertLessEqual(len(item["metadata"]["name"]), 63)
                if item["kind"] not in ("Role", "RoleBinding") and not item["kind"].startswith(("Cluster", "Custom", "Validating")):
                    self.assertEqual(item["metadata"]["namespace"], "ops")


if __name__ == "__main__":
    unittest.main(verbosity=2)
