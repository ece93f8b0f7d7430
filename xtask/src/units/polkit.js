// What polkit gives to a rule, and what the rule is to say. The rule is put between the two.

var ruled = [];
var polkit = {
    Result: { NO: "no", YES: "yes", NOT_HANDLED: null },
    addRule: function (rule) {
        ruled.push(rule);
    }
};

// RULES

var MANAGE = "org.freedesktop.systemd1.manage-units";

function answer(user, id, unit, verb) {
    var details = { unit: unit, verb: verb };
    var action = {
        id: id,
        lookup: function (key) {
            return details[key];
        }
    };
    for (var i = 0; i < ruled.length; i++) {
        var result = ruled[i](action, { user: user });
        if (result) {
            return result;
        }
    }
    return polkit.Result.NOT_HANDLED;
}

var YES = polkit.Result.YES;
var ASKED_ELSEWHERE = polkit.Result.NOT_HANDLED;
var ONE = "edgerelay-worker@1.service";
var cases = [
    ["edgerelay", MANAGE, ONE, "start", YES],
    ["edgerelay", MANAGE, ONE, "stop", YES],
    ["edgerelay", MANAGE, ONE, "kill", YES],
    ["edgerelay", MANAGE, "edgerelay-worker@256.service", "start", YES],
    ["edgerelay", MANAGE, ONE, "restart", ASKED_ELSEWHERE],
    ["edgerelay", MANAGE, ONE, "set-property", ASKED_ELSEWHERE],
    ["edgerelay", MANAGE, ONE, undefined, ASKED_ELSEWHERE],
    ["edgerelay", MANAGE, undefined, "start", ASKED_ELSEWHERE],
    ["edgerelay", MANAGE, "edgerelay.service", "stop", ASKED_ELSEWHERE],
    ["edgerelay", MANAGE, "edgerelay-accounting.service", "start", ASKED_ELSEWHERE],
    ["edgerelay", MANAGE, "edgerelay-worker@.service", "start", ASKED_ELSEWHERE],
    ["edgerelay", MANAGE, "edgerelay-worker@1.service.d", "start", ASKED_ELSEWHERE],
    ["edgerelay", MANAGE, "edgerelay-worker@1\n.service", "start", ASKED_ELSEWHERE],
    ["edgerelay", MANAGE, "xedgerelay-worker@1.service", "start", ASKED_ELSEWHERE],
    ["edgerelay", MANAGE, "edgerelay-worker@1xservice", "start", ASKED_ELSEWHERE],
    ["edgerelay", MANAGE, "ssh.service", "start", ASKED_ELSEWHERE],
    ["edgerelay", "org.freedesktop.systemd1.manage-unit-files", ONE, "start", ASKED_ELSEWHERE],
    ["edgerelay", "org.freedesktop.systemd1.reload-daemon", ONE, "start", ASKED_ELSEWHERE],
    ["nobody", MANAGE, ONE, "start", ASKED_ELSEWHERE]
];
for (var i = 0; i < cases.length; i++) {
    var it = cases[i];
    var said = answer(it[0], it[1], it[2], it[3]);
    if (said !== it[4]) {
        throw new Error("the rule says " + said + " to " + JSON.stringify(it));
    }
}
print("units: the polkit rule answers " + cases.length + " questions as it should");
