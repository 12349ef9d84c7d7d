# The Debian package, by CPack. scripts/package builds it; packaging/debian has what Debian wants besides.
find_program(GZIP gzip REQUIRED)
find_program(DPKG dpkg REQUIRED)

# Debian wants its pages and changelogs compressed, the same bytes each time.
function(rota_compressed source name destination)
  set(target ${CMAKE_BINARY_DIR}/install/${name}.gz)
  add_custom_command(OUTPUT ${target}
    COMMAND sh -c "\"$1\" -9nc \"$2\" > \"$3\"" compress ${GZIP} ${source} ${target}
    DEPENDS ${source} VERBATIM)
  add_custom_target(compressed_${name} ALL DEPENDS ${target})
  add_dependencies(compressed_${name} man_pages)
  install(FILES ${target} DESTINATION ${destination})
endfunction()

# One version of rota is another package on each Debian, which must be older than that of the next Debian.
file(STRINGS /etc/os-release release REGEX "^VERSION_ID=")
string(REGEX REPLACE "[^0-9]" "" release "${release}")
set(CPACK_DEBIAN_PACKAGE_RELEASE "1~deb${release}")
if(release STREQUAL "")
  set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
endif()
set(ROTA_MAINTAINER "rota maintainers <maintainers@rota.invalid>" CACHE STRING "Whom the package names as its maintainer")

string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC)
set(ROTA_DEB_VERSION ${PROJECT_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE})
configure_file(packaging/debian/changelog.in install/changelog.Debian @ONLY)

rota_compressed(${CMAKE_BINARY_DIR}/man/rota.1 rota.1 ${CMAKE_INSTALL_MANDIR}/man1)
rota_compressed(${CMAKE_BINARY_DIR}/man/rota.yaml.5 rota.yaml.5 ${CMAKE_INSTALL_MANDIR}/man5)
rota_compressed(${CMAKE_BINARY_DIR}/install/changelog.Debian changelog.Debian ${CMAKE_INSTALL_DOCDIR})
rota_compressed(${CMAKE_SOURCE_DIR}/CHANGELOG.md changelog ${CMAKE_INSTALL_DOCDIR})
install(FILES packaging/debian/copyright DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES conf/rota.yaml DESTINATION ${CMAKE_INSTALL_FULL_SYSCONFDIR}/rota)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME rota)
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_SOURCE_DIR}/build)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_MAINTAINER ${ROTA_MAINTAINER})
set(CPACK_DEBIAN_PACKAGE_SECTION httpd)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "supervisor and load balancer for the workers of HTTP apps")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"rota runs N copies of any HTTP app, each on a Unix socket of its own, and
gives every request to the next of them. It starts, checks, drains and
replaces the workers itself, so that it knows of a death, a drain or a failed
release before any client does.

Apps need no change: Node, gunicorn, uvicorn, puma, Go binaries and others
are told where to listen.")
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# sysusers and tmpfiles are what the maintainer scripts call; rota itself needs no systemd.
set(CPACK_DEBIAN_PACKAGE_DEPENDS
  "init-system-helpers (>= 1.52), systemd | systemd-standalone-sysusers | systemd-sysusers, systemd | systemd-standalone-tmpfiles | systemd-tmpfiles")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
  "${CMAKE_SOURCE_DIR}/packaging/debian/conffiles"
  "${CMAKE_SOURCE_DIR}/packaging/debian/postinst"
  "${CMAKE_SOURCE_DIR}/packaging/debian/prerm"
  "${CMAKE_SOURCE_DIR}/packaging/debian/postrm")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)
