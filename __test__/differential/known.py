"""
Differences that are defects, known and not yet fixed; their names are those of the cases. This module goes when the
last one is fixed.
"""

import stat

A14_SGID_OF_DEFAULT_ACL = True
A2_EMPTY_CHOWN = True
C3_SGID_WITHOUT_GROUP_EXECUTE = True


def is_avoided(operation, user):
    """Whether an operation is left out, as what it leaves behind differs."""
    name, *args = operation
    if A2_EMPTY_CHOWN and name in ("chown", "fchown"):
        return args[1:3] == [-1, -1]
    if A14_SGID_OF_DEFAULT_ACL and name == "setxattr" and user[0] != 0:
        return args[1] == "system.posix_acl_default"
    return False


def is_known(reference, test):
    """Whether results differ by a known defect."""
    return are_alike(reference, test)


def without_sgid(result):
    """The attributes in a result without what C3 is about."""
    if not C3_SGID_WITHOUT_GROUP_EXECUTE or not isinstance(result, list):
        return result
    if not str(result[0] if result else "").startswith("0o"):
        return [without_sgid(part) for part in result]
    mode = int(result[0], 8)
    if stat.S_ISREG(mode):
        mode &= ~stat.S_ISGID
    return [oct(mode), *result[1:]]


def are_alike(a, b):
    return without_sgid(a) == without_sgid(b)


def are_alike_in_trees(a, b):
    if a is None or b is None or not are_alike(a["attributes"], b["attributes"]):
        return False
    return {**a, "attributes": None} == {**b, "attributes": None}
