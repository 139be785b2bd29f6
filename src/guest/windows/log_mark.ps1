# What files are like now: size, moment of their making, checksum and path of each; those in everybody's home, as nobody may
# be logged in yet.
function mosdat_mark($path) {
    if (-not (Test-Path -LiteralPath $path)) { return "0 - - $path" }
    if (-not (Test-Path -LiteralPath $path -PathType Leaf)) { return }
    $stream = mosdat_open $path
    $size = $stream.Length
    $made = [System.IO.File]::GetCreationTimeUtc($path).Ticks
    "$size $made $(mosdat_sum $stream $size) $path"
    $stream.Close()
}
"begin $([DateTime]::UtcNow.Ticks)"
$homes = @(Get-ChildItem 'HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList' | ForEach-Object {
    [Environment]::ExpandEnvironmentVariables($_.GetValue('ProfileImagePath'))
})
foreach ($path in $env:paths -split "`n") {
    if ($path -match '^~[\\/]') {
        foreach ($folder in $homes) { mosdat_mark ([System.IO.Path]::GetFullPath((Join-Path $folder $path.Substring(2)))) }
    } else {
        mosdat_mark ([System.IO.Path]::GetFullPath($path))
    }
}
exit 0
